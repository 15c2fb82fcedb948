"""Jobs behind the expiry notices."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from workers.contract.request import JobRequest, Queue


class Scanned(BaseModel):
    """What a scan found: versions whose tier was due, notices planned, delivery jobs enqueued."""

    versions: int
    notices: int
    tiers_nobody_hears: int
    digests: int
    delivery_jobs: int


class Delivered(BaseModel):
    """What became of the digests of one job."""

    accepted: int = 0
    refused: int = 0
    cancelled: int = 0


class ScanExpiries(JobRequest):
    """Plan every notice that is due by now and hand the due digests over for delivery."""

    kind: ClassVar[str] = "expiry.scan"
    queue: ClassVar[Queue] = Queue.NOTIFICATIONS
    result: ClassVar[type[BaseModel] | None] = Scanned
    time_limit_seconds: ClassVar[float] = 900


class DeliverNotices(JobRequest):
    """Compose and send the named digests; those already sent are left alone."""

    kind: ClassVar[str] = "notice.deliver"
    queue: ClassVar[Queue] = Queue.NOTIFICATIONS
    result: ClassVar[type[BaseModel] | None] = Delivered
    problems: ClassVar[tuple[str, ...]] = ("mail-given-up",)
    time_limit_seconds: ClassVar[float] = 600
    # With a wait that doubles from one minute to an hour: a mail server may be away for a day.
    max_attempts: ClassVar[int] = 28
    retry_base_seconds: ClassVar[float] = 60

    digest_ids: Annotated[tuple[int, ...], Field(min_length=1, max_length=100)]
