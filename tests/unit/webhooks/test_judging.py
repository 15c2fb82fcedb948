"""What an answer means for a message and for its endpoint."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.webhooks.judging import (
    FAILURES_THAT_OPEN,
    GIVE_UP_SECONDS,
    Verdict,
    judge,
    rest_seconds,
    to_try,
)
from workers.webhooks.sending import Answer

ACCEPTED = Answer(status=204)
REFUSED = Answer(status=500, error="The endpoint answered 500.")


@dataclass(frozen=True)
class Message:
    """What is known of a message."""

    number: int
    subject: str = "a"
    attempt: int = 0


def verdict(
    answer: Answer = REFUSED,
    *,
    attempt: int = 1,
    waited: float = 0,
    failures: int = 0,
    jitter: float = 0,
) -> Verdict:
    """Judge an answer."""
    return judge(answer, attempt=attempt, waited_seconds=waited, failures=failures, jitter=jitter)


def test_what_was_accepted_is_delivered_and_clears_the_endpoint() -> None:
    found = verdict(ACCEPTED, failures=3)
    assert (found.state, found.failures, found.rest_seconds) == ("delivered", 0, None)
    assert not found.is_back


def test_an_endpoint_that_had_rests_and_accepts_again_is_back() -> None:
    assert verdict(ACCEPTED, failures=FAILURES_THAT_OPEN).is_back


def test_waits_grow_from_seconds_to_hours_and_fit_into_three_days() -> None:
    waits = [verdict(attempt=attempt).wait_seconds for attempt in range(1, 12)]
    assert waits[0] == 5
    assert waits == sorted(waits)
    assert waits[-1] == 12 * 3600
    waited = attempts = 0
    while verdict(attempt=attempts + 1, waited=waited).state == "waiting":
        attempts += 1
        waited += int(verdict(attempt=attempts).wait_seconds)
    assert 10 <= attempts <= 16
    assert 2 * 86400 < waited <= GIVE_UP_SECONDS


@given(st.integers(1, 100), st.floats(0, 0.999), st.integers(0, 10_000))
def test_jitter_stretches_by_up_to_a_half(attempt: int, jitter: float, failures: int) -> None:
    plain = verdict(attempt=attempt, failures=failures)
    found = verdict(attempt=attempt, failures=failures, jitter=jitter)
    assert plain.wait_seconds <= found.wait_seconds < 1.5 * plain.wait_seconds + 1e-6
    assert (plain.rest_seconds is None) == (found.rest_seconds is None)


def test_the_circuit_opens_after_some_failures_in_a_row_and_rests_grow_to_an_hour() -> None:
    rests = [rest_seconds(failures, 0) for failures in range(1, 16)]
    assert rests[:5] == [None, None, None, None, 30]
    assert rests[5:7] == [60, 120]
    assert rests[-1] == 3600


def test_what_is_gone_is_called_no_more() -> None:
    found = verdict(Answer(status=410, error="The endpoint answered 410."))
    assert found.is_gone
    assert found.state == "waiting"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked", "given"),
    [(120, 120), (-5, 0), (10**9, 12 * 3600)],
    ids=["some time", "a date that is past", "much too long"],
)
def test_an_endpoint_that_asks_for_time_gets_it_within_bounds(
    status: int, asked: float, given: float
) -> None:
    found = verdict(Answer(status=status, error="busy", retry_after_seconds=asked))
    assert found.rest_seconds == given
    assert found.wait_seconds == max(given, 5)


def test_one_that_asks_for_little_time_has_no_shorter_a_rest_than_others() -> None:
    busy = Answer(status=503, error="busy", retry_after_seconds=0)
    found = verdict(busy, failures=FAILURES_THAT_OPEN + 2)
    assert found.rest_seconds == rest_seconds(FAILURES_THAT_OPEN + 3, 0)


def test_others_that_ask_for_time_are_not_heard() -> None:
    found = verdict(Answer(status=500, error="x", retry_after_seconds=9999))
    assert (found.rest_seconds, found.wait_seconds) == (None, 5)


def test_all_that_is_due_is_tried_in_order_while_the_endpoint_is_well() -> None:
    due = [Message(1), Message(2, "b", 3), Message(3)]
    assert to_try(due, failures=FAILURES_THAT_OPEN - 1) == due


def test_an_endpoint_that_had_a_rest_gets_the_message_that_was_tried_least() -> None:
    due = [Message(1, "a", 4), Message(2, "a", 0), Message(3, "b", 1), Message(4, "c", 1)]
    assert to_try(due, failures=FAILURES_THAT_OPEN) == [Message(3, "b", 1)]


def test_nothing_is_tried_where_nothing_is_due() -> None:
    assert to_try([], failures=0) == []
    assert to_try([], failures=99) == []
