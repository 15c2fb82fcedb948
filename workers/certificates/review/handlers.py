"""``certificate.review``."""

from datetime import timedelta

from workers.certificates.replacements import announce_overdue
from workers.certificates.review.store import rekeys_due, replacements_due
from workers.contract import RekeyCertificate, ReviewCertificates, StartReplacement
from workers.contract.certificate_policies import Reviewed
from workers.jobs.due import MOST_AT_ONCE, DueJob, enqueue_due
from workers.jobs.enqueue import enqueue
from workers.jobs.running import RunningJob

LOOK_AGAIN = timedelta(minutes=1)
"""So soon after asking for new key pairs, a review finds the places that are to follow."""


def review_certificates(_request: ReviewCertificates, job: RunningJob) -> Reviewed:
    """Ask for the new key pairs and the replacements that are due by policy.

    It reads state, and every job names the version it is about, so a review that runs twice, or
    beside another, changes nothing.
    """
    connection = job.connection
    rekeys = [
        DueJob(
            organization_id=each.organization_id,
            unique_key=each.unique_key,
            request=RekeyCertificate(
                unique_name=each.unique_name, expected_version=each.version_number
            ),
        )
        for each in rekeys_due(connection, now=job.now, limit=MOST_AT_ONCE)
    ]
    replacements = [
        DueJob(
            organization_id=each.organization_id,
            unique_key=each.unique_key,
            request=StartReplacement(
                certificate=each.unique_name,
                version_number=each.old_number,
                successor=each.unique_name,
                successor_version=each.new_number,
                reason="policy: it ends soon, and a newer version is there",
            ),
        )
        for each in replacements_due(connection, now=job.now, limit=MOST_AT_ONCE)
    ]
    reviewed = Reviewed(
        rekeys=enqueue_due(connection, rekeys),
        replacements=enqueue_due(connection, replacements),
        overdue=announce_overdue(connection, now=job.now),
    )
    if reviewed.rekeys:
        enqueue(
            connection,
            ReviewCertificates(),
            unique_key="after-rekeys",
            run_at=job.now + LOOK_AGAIN,
        )
    return reviewed
