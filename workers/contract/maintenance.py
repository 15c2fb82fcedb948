"""Jobs that keep keywright itself in order."""

from typing import ClassVar

from pydantic import Field

from workers.contract.request import JobRequest, Queue


class Ping(JobRequest):
    """Do nothing: shows that the whole path from enqueue to worker and back is alive."""

    kind: ClassVar[str] = "system.ping"
    queue: ClassVar[Queue] = Queue.MAINTENANCE


class PurgeJobs(JobRequest):
    """Delete jobs that succeeded or were cancelled long ago; failed ones stay until retried."""

    kind: ClassVar[str] = "job.purge"
    queue: ClassVar[Queue] = Queue.MAINTENANCE
    time_limit_seconds: ClassVar[float] = 600

    older_than_days: int = Field(default=30, ge=1, le=3650)
