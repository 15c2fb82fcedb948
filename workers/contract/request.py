"""The shape that all job requests share."""

from enum import StrEnum
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Queue(StrEnum):
    """One queue per workload, so that slow work never stands before urgent work.

    Listed most urgent first: a worker that serves several queues takes them in this order.
    """

    NOTIFICATIONS = "notifications"
    CERTIFICATES = "certificates"
    ENCRYPTION = "encryption"
    MAINTENANCE = "maintenance"


COMMON_PROBLEMS = ("invalid-request", "not-found", "conflict", "unexpected", "time-limit-exceeded")
"""Codes of problems (``urn:keywright:problem:…``) that any job may end with."""


class JobRequest(BaseModel):
    """What a job is asked to do: ids, dates and numbers; never secrets, addresses or objects.

    A subclass is one kind of job. Its ``kind`` is the stable name on the wire and in the ledger:
    imperative, ``<noun>.<verb>``. Its limits are part of the contract, too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    queue: ClassVar[Queue]
    for_requesters: ClassVar[bool] = False
    """Whether other systems may be granted it; the rest is asked for by keywright and operators."""
    most_bytes: ClassVar[int] = 16 * 1024
    """Of its arguments, as JSON in UTF-8."""
    result: ClassVar[type[BaseModel] | None] = None
    """What a job that succeeded says; None: nothing."""
    problems: ClassVar[tuple[str, ...]] = ()
    """Why one may fail for good, by code, besides ``COMMON_PROBLEMS``."""
    max_attempts: ClassVar[int] = 5
    time_limit_seconds: ClassVar[float] = 60
    retry_base_seconds: ClassVar[float] = 5
    """Wait before the second attempt; it doubles with each further one."""
    retry_cap_seconds: ClassVar[float] = 3600
