"""``certificate.clean_up``."""

from workers.certificates.clean_up.store import delete_expired, find_expired, purge_deleted
from workers.contract import CleanUpCertificates
from workers.contract.certificate_policies import CleanedUp
from workers.jobs.running import RunningJob

BATCH = 500
"""Certificates per transaction."""


def clean_up_certificates(_request: CleanUpCertificates, job: RunningJob) -> CleanedUp:
    """Delete what has expired and nothing needs, then purge what was deleted long enough ago.

    It reads state, batch by batch, so one that runs twice, or beside another, or is cut off,
    changes nothing but when.
    """
    deleted = purged = 0
    while True:
        job.stop_if_asked()
        with job.checkpoint() as connection:
            found = find_expired(connection, now=job.now, limit=BATCH)
            done = delete_expired(connection, found, now=job.now)
        deleted += done
        job.report_progress(deleted)
        # What was found and not deleted is in somebody else's hands: the next clean-up sees to it.
        if len(found) < BATCH or done == 0:
            break
    while True:
        job.stop_if_asked()
        with job.checkpoint() as connection:
            done = purge_deleted(connection, now=job.now, limit=BATCH)
        purged += done
        job.report_progress(deleted + purged)
        if done < BATCH:
            break
    return CleanedUp(deleted=deleted, purged=purged)
