"""What an error means for its job: try again, and when, or give up. Pure."""

from dataclasses import dataclass

from workers.contract import JobRequest
from workers.errors import KeywrightError, PermanentError


class LeaseLostError(KeywrightError):
    """The job belongs to somebody else by now: whatever was done here must not be committed."""

    code = "lease-lost"
    title = "The job was given to another worker"


class JobCancelledError(KeywrightError):
    """Somebody asked for the job's cancellation, and its handler heard it."""

    code = "cancelled"
    title = "The job was cancelled"


@dataclass(frozen=True)
class RetryIn:
    """Try again after ``seconds``."""

    seconds: float


@dataclass(frozen=True)
class GiveUp:
    """Fail the job: another attempt cannot help, or none is left."""


def decide(
    error: BaseException,
    *,
    attempt: int,
    max_attempts: int,
    request: type[JobRequest],
    jitter: float,
) -> RetryIn | GiveUp:
    """Decide after ``attempt`` (1 for the first) ended with ``error``.

    The wait doubles from the kind's base up to its cap; ``jitter`` in [0, 1) stretches it by up to
    a half, so that jobs which failed together do not return together.
    """
    if isinstance(error, PermanentError) or attempt >= max_attempts:
        return GiveUp()
    doubled = request.retry_base_seconds * 2.0 ** min(attempt - 1, 30)
    return RetryIn(min(doubled, request.retry_cap_seconds) * (1 + jitter / 2))
