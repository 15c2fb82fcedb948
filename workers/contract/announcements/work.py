"""What is announced of jobs and of notices."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from workers.contract.announcements.happened import Happened


class NoticeOf(BaseModel):
    """A version of which a digest tells, and at which tier."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version_id: int
    tier_days: int


class _Digest(Happened):
    about: ClassVar[str] = "digest/88"

    digest_id: int
    member_id: int
    local_day: str
    channel: Literal["email"]
    notices: list[NoticeOf]


class NoticeDelivered(_Digest):
    """A member's notices of a day were accepted by the mail server."""

    of_kind: ClassVar[str] = "notice.delivered"


class NoticeFailed(_Digest):
    """A member's notices of a day were refused by the mail server, or given up."""

    of_kind: ClassVar[str] = "notice.failed"

    because: Literal["refused", "given_up"]
    smtp_code: int | None


class WebhookTested(Happened):
    """Somebody tested a webhook: only that one is told, whatever kinds it wants."""

    of_kind: ClassVar[str] = "webhook.tested"
    about: ClassVar[str] = "webhook/3"

    endpoint_id: int
    name: str


class JobProblem(BaseModel):
    """Why a job failed (RFC 9457), without the detail; `keywright job show` has that."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    title: str


class JobFailed(Happened):
    """A job failed and is not tried again by itself."""

    of_kind: ClassVar[str] = "job.failed"
    about: ClassVar[str] = "job/42"

    job_id: int
    kind: str
    attempt: int
    requested_by: str
    door: str
    problem: JobProblem
