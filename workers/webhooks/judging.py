"""What an answer means for the message and for its endpoint: patience, and a circuit. Pure.

A message is tried again after 5 seconds, then less and less often, and given up after three days.
An endpoint that failed several times in a row gets a rest (the circuit is open), then one message
as a probe, then a longer rest: one that is down costs little, and one that is back is noticed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, Protocol, TypeVar

from workers.webhooks.sending import Answer

_WAITS_SECONDS = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 10_800.0, 21_600.0, 43_200.0)
GIVE_UP_SECONDS = 72 * 3600.0
FAILURES_THAT_OPEN = 5
_FIRST_REST_SECONDS = 30.0
_LONGEST_REST_SECONDS = 3600.0
_LONGEST_RETRY_AFTER_SECONDS = 12 * 3600.0
_ASK_FOR_TIME = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)

State = Literal["waiting", "delivered", "given_up"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What to note: of the message its state and when it is tried again, of the endpoint the rest.

    ``rest_seconds`` None leaves the endpoint available. ``is_back``: it had been given rests, so
    whatever waits for it may be tried now. ``is_gone``: it wants nothing more.
    """

    state: State
    wait_seconds: float
    failures: int
    rest_seconds: float | None
    is_back: bool = False
    is_gone: bool = False


def judge(
    answer: Answer, *, attempt: int, waited_seconds: float, failures: int, jitter: float
) -> Verdict:
    """Judge the answer to attempt number ``attempt`` (1 for the first) of a message.

    ``waited_seconds`` is how long the message has been waiting, ``failures`` how often its
    endpoint had failed in a row before; ``jitter`` in [0, 1) stretches waits by up to a half, so
    that what failed together does not come back together.
    """
    if answer.error is None:
        return Verdict(
            state="delivered",
            wait_seconds=0,
            failures=0,
            rest_seconds=None,
            is_back=failures >= FAILURES_THAT_OPEN,
        )
    failures += 1
    wait = _WAITS_SECONDS[min(attempt, len(_WAITS_SECONDS)) - 1] * (1 + jitter / 2)
    rest = rest_seconds(failures, jitter)
    if answer.status in _ASK_FOR_TIME and answer.retry_after_seconds is not None:
        asked = min(max(answer.retry_after_seconds, 0), _LONGEST_RETRY_AFTER_SECONDS)
        rest = max(rest or 0, asked)
        wait = max(wait, asked)
    is_gone = answer.status == HTTPStatus.GONE
    return Verdict(
        state="given_up" if waited_seconds + wait > GIVE_UP_SECONDS else "waiting",
        wait_seconds=wait,
        failures=failures,
        rest_seconds=rest,
        is_gone=is_gone,
    )


def rest_seconds(failures: int, jitter: float) -> float | None:
    """Return how long an endpoint rests after so many failures in a row; None: not at all."""
    if failures < FAILURES_THAT_OPEN:
        return None
    doubled = _FIRST_REST_SECONDS * 2.0 ** min(failures - FAILURES_THAT_OPEN, 30)
    return min(doubled, _LONGEST_REST_SECONDS) * (1 + jitter / 2)


class Due(Protocol):
    """What is known of a message that can be sent."""

    @property
    def attempt(self) -> int: ...
    @property
    def subject(self) -> str: ...


_Due = TypeVar("_Due", bound=Due)


def to_try(due: Sequence[_Due], *, failures: int) -> list[_Due]:
    """Return what to send of what is due, in order; of a circuit that was open, one as a probe.

    The probe is the one that was tried least, so that a message which nobody takes does not keep
    all the others waiting. In its subject nothing stands before it.
    """
    if failures < FAILURES_THAT_OPEN:
        return list(due)
    firsts: dict[str, _Due] = {}
    for each in due:
        firsts.setdefault(each.subject, each)
    return sorted(firsts.values(), key=lambda each: each.attempt)[:1]
