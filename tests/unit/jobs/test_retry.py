"""When a failed attempt is tried again, and when not."""

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract import JOB_REQUESTS, JobRequest, Queue
from workers.errors import ConflictError, InvalidRequestError, PermanentError, TransientError
from workers.jobs.retry import GiveUp, JobCancelledError, LeaseLostError, RetryIn, decide


class Knock(JobRequest):
    """A kind with limits that are easy to reckon with."""

    kind: ClassVar[str] = "test.knock"
    queue: ClassVar[Queue] = Queue.MAINTENANCE
    retry_base_seconds: ClassVar[float] = 10
    retry_cap_seconds: ClassVar[float] = 100


kinds = st.sampled_from([*JOB_REQUESTS, Knock])
jitters = st.floats(min_value=0, max_value=1, exclude_max=True)
transient_errors = st.sampled_from(
    [TransientError("x"), RuntimeError("x"), KeyboardInterrupt(), LeaseLostError("x")]
)
permanent_errors = st.sampled_from(
    [PermanentError("x"), InvalidRequestError("x"), ConflictError("x")]
)


def wait(
    attempt: int,
    *,
    kind: type[JobRequest] = Knock,
    jitter: float = 0,
    error: BaseException | None = None,
) -> float:
    """Return the wait after an attempt that was not the last."""
    decision = decide(
        error or TransientError("x"),
        attempt=attempt,
        max_attempts=attempt + 1,
        request=kind,
        jitter=jitter,
    )
    assert isinstance(decision, RetryIn)
    return decision.seconds


def test_the_wait_doubles_from_the_base_up_to_the_cap() -> None:
    assert [wait(attempt) for attempt in range(1, 7)] == [10, 20, 40, 80, 100, 100]


def test_jitter_stretches_the_wait_by_up_to_a_half() -> None:
    assert wait(1, jitter=0.5) == 12.5
    assert wait(9, jitter=0.999) == pytest.approx(150, rel=0.001)


@given(error=permanent_errors, attempt=st.integers(1, 999), kind=kinds, jitter=jitters)
def test_a_permanent_error_is_never_tried_again(
    error: Exception, attempt: int, kind: type[JobRequest], jitter: float
) -> None:
    decision = decide(error, attempt=attempt, max_attempts=1000, request=kind, jitter=jitter)
    assert decision == GiveUp()


@given(error=transient_errors, limit=st.integers(1, 1000), beyond=st.integers(0, 5), jitter=jitters)
def test_no_error_is_tried_again_after_the_last_attempt(
    error: BaseException, limit: int, beyond: int, jitter: float
) -> None:
    decision = decide(
        error, attempt=limit + beyond, max_attempts=limit, request=Knock, jitter=jitter
    )
    assert decision == GiveUp()


@given(error=transient_errors, attempt=st.integers(1, 32_000), kind=kinds, jitter=jitters)
def test_anything_else_is_tried_again_within_base_and_cap(
    error: BaseException, attempt: int, kind: type[JobRequest], jitter: float
) -> None:
    seconds = wait(attempt, kind=kind, jitter=jitter, error=error)
    assert kind.retry_base_seconds <= seconds <= kind.retry_cap_seconds * 1.5


@given(attempt=st.integers(1, 32_000), kind=kinds, jitter=jitters)
def test_the_wait_never_shrinks_from_one_attempt_to_the_next(
    attempt: int, kind: type[JobRequest], jitter: float
) -> None:
    assert wait(attempt, kind=kind, jitter=jitter) <= wait(attempt + 1, kind=kind, jitter=jitter)


@given(attempt=st.integers(1, 60), one=jitters, other=jitters)
def test_more_jitter_never_means_less_wait(attempt: int, one: float, other: float) -> None:
    assert (wait(attempt, jitter=one) <= wait(attempt, jitter=other)) or one > other


def test_a_job_that_was_asked_for_delivery_outlives_a_mail_server_that_is_away_for_a_day() -> None:
    [deliver] = [kind for kind in JOB_REQUESTS if kind.kind == "notice.deliver"]
    total = sum(wait(attempt, kind=deliver) for attempt in range(1, deliver.max_attempts))
    assert total >= 24 * 3600 * 0.9


def test_losing_and_cancelling_are_neither_permanent_nor_transient() -> None:
    for kind in (LeaseLostError, JobCancelledError):
        assert not issubclass(kind, (PermanentError, TransientError))
