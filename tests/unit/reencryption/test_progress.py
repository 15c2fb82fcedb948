"""What somebody who watches a run is told to do, and nothing when all is well."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from workers.reencryption.progress import Hands, advise
from workers.reencryption.store import Run

NOW = datetime(2030, 5, 17, 12, tzinfo=UTC)
RUN = Run(
    run_id=3,
    organization_id=1,
    organization="Acme",
    purpose="reencrypt",
    field_ids=[],
    target_number=2,
    state="rewriting",
    resume_state=None,
    waiting_for=None,
    options={},
    plan=None,
    pass_number=1,
    zero_censuses=0,
    fenced_at=NOW,
    requested_by="a test",
    requested_at=NOW,
    started_at=NOW,
    finished_at=None,
    report=None,
)
NOBODY = Hands(running=0, waiting=0, due_since=None, next_at=None, silent_since=None, failure=None)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "hands",
    [
        replace(NOBODY, running=2),
        replace(NOBODY, running=1, waiting=1, due_since=ago(60)),
        replace(NOBODY, running=1, silent_since=ago(1)),
        replace(NOBODY, waiting=1, due_since=ago(1)),
    ],
)
def test_a_run_that_goes_on_needs_nothing(hands: Hands) -> None:
    assert advise(RUN, hands, now=NOW) is None


def test_a_finished_run_needs_nothing() -> None:
    for state in ("completed", "cancelled"):
        assert advise(replace(RUN, state=state), NOBODY, now=NOW) is None


@pytest.mark.parametrize(
    ("hands", "says"),
    [
        (NOBODY, "no job works on it any more; `keywright reencryption resume 3` asks for new"),
        (replace(NOBODY, failure="It is gone."), "no job works on it any more (It is gone);"),
        (replace(NOBODY, waiting=1, due_since=ago(12)), "due for 12 s and nobody takes it"),
        (replace(NOBODY, running=1, silent_since=ago(40)), "heard of 40 s ago; a scheduler"),
        (replace(NOBODY, waiting=1, next_at=NOW + timedelta(seconds=8)), "it goes on in 8 s"),
    ],
)
def test_a_run_that_nobody_works_on_says_so(hands: Hands, says: str) -> None:
    assert says in str(advise(RUN, hands, now=NOW))


def test_a_paused_run_says_how_it_goes_on() -> None:
    paused = replace(RUN, state="paused", resume_state="rewriting")
    assert advise(paused, NOBODY, now=NOW) == "`keywright reencryption resume 3` lets it go on"
