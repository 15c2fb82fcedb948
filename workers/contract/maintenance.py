"""Jobs that keep keywright itself in order."""

from typing import ClassVar

from pydantic import BaseModel, Field

from workers.contract.request import JobRequest, Queue


class Purged(BaseModel):
    """How many jobs were deleted, and how many notes of messages that had asked for some."""

    jobs: int
    messages: int


class PurgedAnnouncements(BaseModel):
    """How many announcements were deleted."""

    announcements: int


class Ping(JobRequest):
    """Do nothing: shows that the whole path from enqueue to worker and back is alive."""

    kind: ClassVar[str] = "system.ping"
    queue: ClassVar[Queue] = Queue.MAINTENANCE
    for_requesters: ClassVar[bool] = True


class PurgeJobs(JobRequest):
    """Delete jobs that succeeded or were cancelled long ago; failed ones stay until retried."""

    kind: ClassVar[str] = "job.purge"
    queue: ClassVar[Queue] = Queue.MAINTENANCE
    result: ClassVar[type[BaseModel] | None] = Purged
    time_limit_seconds: ClassVar[float] = 600

    older_than_days: int = Field(default=30, ge=1, le=3650)


class PurgeAnnouncements(JobRequest):
    """Delete old announcements, save those that a webhook is still to be told."""

    kind: ClassVar[str] = "announcement.purge"
    queue: ClassVar[Queue] = Queue.MAINTENANCE
    result: ClassVar[type[BaseModel] | None] = PurgedAnnouncements
    time_limit_seconds: ClassVar[float] = 600

    older_than_days: int = Field(default=30, ge=1, le=3650)
