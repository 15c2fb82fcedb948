"""``expiry.scan``: plan what is due, hand it over for delivery."""

from itertools import groupby

from workers.contract import DeliverNotices, ScanExpiries
from workers.contract.notices import Scanned
from workers.jobs.enqueue import enqueue_many
from workers.jobs.running import RunningJob
from workers.notifications.ends import announce_ends
from workers.notifications.planning import (
    assign_to_jobs,
    digests_to_deliver,
    plan_due_notices,
)

VERSIONS_PER_STEP = 10_000
_DIGESTS_PER_STEP = 10_000
_DIGESTS_PER_JOB = 50


def scan_expiries(_request: ScanExpiries, job: RunningJob) -> Scanned:
    """Plan the notices that are due by now, then enqueue the delivery of every due digest.

    In between, announce the certificates that have ended. Every part reads state, so a scan that
    was cut off, repeated or late leaves nothing out and does nothing twice.
    """
    versions = notices = unheard = 0
    while True:
        job.stop_if_asked()
        with job.checkpoint() as connection:
            planned = plan_due_notices(connection, now=job.now, limit=VERSIONS_PER_STEP)
        versions += planned.versions
        notices += planned.notices
        unheard += planned.unheard
        job.report_progress(versions)
        if planned.versions < VERSIONS_PER_STEP:
            break
    while True:
        job.stop_if_asked()
        with job.checkpoint() as connection:
            ended = announce_ends(connection, now=job.now, limit=VERSIONS_PER_STEP)
        if ended < VERSIONS_PER_STEP:
            break
    digests = jobs = 0
    while True:
        with job.checkpoint() as connection:
            due = digests_to_deliver(connection, now=job.now, limit=_DIGESTS_PER_STEP)
            for organization_id, members in groupby(due, key=lambda row: row[0]):
                ids = [digest_id for _, digest_id in members]
                chunks = [
                    ids[start : start + _DIGESTS_PER_JOB]
                    for start in range(0, len(ids), _DIGESTS_PER_JOB)
                ]
                job_ids = enqueue_many(
                    connection,
                    [DeliverNotices(digest_ids=tuple(chunk)) for chunk in chunks],
                    organization_id=organization_id,
                )
                assign_to_jobs(connection, chunks, job_ids)
                jobs += len(job_ids)
        digests += len(due)
        if len(due) < _DIGESTS_PER_STEP:
            break
    return Scanned(
        versions=versions,
        notices=notices,
        tiers_nobody_hears=unheard,
        digests=digests,
        delivery_jobs=jobs,
    )
