"""Jobs that keep the ledger itself in order."""

from workers.contract import Ping, PurgeJobs
from workers.contract.maintenance import Purged
from workers.jobs.running import RunningJob

_BATCH = 5000
_FEWEST_DAYS_OF_NOTES = 30


def ping(_request: Ping, _job: RunningJob) -> None:
    """Do nothing, successfully."""


def purge_jobs(request: PurgeJobs, job: RunningJob) -> Purged:
    """Delete old jobs that succeeded or were cancelled, batch by batch, oldest first.

    Then the notes of messages that had asked for jobs: a message that comes again so late finds no
    job any more, and makes another.
    """
    purged = 0
    while True:
        job.stop_if_asked()
        with job.checkpoint() as connection:
            deleted = connection.execute(
                """
                DELETE FROM keywright.job
                 WHERE job_id IN (
                       SELECT job_id FROM keywright.job
                        WHERE state IN ('succeeded', 'cancelled')
                          AND finished_at < %(now)s - make_interval(days => %(days)s)
                        ORDER BY job_id
                        LIMIT %(batch)s)
                """,
                {"now": job.now, "days": request.older_than_days, "batch": _BATCH},
            ).rowcount
        purged += deleted
        job.report_progress(purged)
        if deleted < _BATCH:
            break
    notes = 0
    while True:
        job.stop_if_asked()
        with job.checkpoint() as connection:
            deleted = connection.execute(
                """
                DELETE FROM keywright.intake
                 WHERE (requester_id, source, event_id) IN (
                       SELECT requester_id, source, event_id FROM keywright.intake
                        WHERE received_at < %(now)s - make_interval(days => %(days)s)
                        ORDER BY received_at
                        LIMIT %(batch)s)
                """,
                {
                    "now": job.now,
                    "days": max(request.older_than_days, _FEWEST_DAYS_OF_NOTES),
                    "batch": _BATCH,
                },
            ).rowcount
        notes += deleted
        job.report_progress(purged + notes)
        if deleted < _BATCH:
            return Purged(jobs=purged, messages=notes)
