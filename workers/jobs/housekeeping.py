"""Jobs that keep the ledger itself in order."""

from pydantic import BaseModel

from workers.contract import Ping, PurgeJobs
from workers.jobs.running import RunningJob

_BATCH = 5000


class Purged(BaseModel):
    """How many jobs were deleted."""

    jobs: int


def ping(_request: Ping, _job: RunningJob) -> None:
    """Do nothing, successfully."""


def purge_jobs(request: PurgeJobs, job: RunningJob) -> Purged:
    """Delete old jobs that succeeded or were cancelled, batch by batch, oldest first."""
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
            return Purged(jobs=purged)
