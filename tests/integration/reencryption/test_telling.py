"""How far a run is is announced now and then, by one of those who work on it."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.integration.reencryption.stage import Stage
from workers.reencryption.telling import tell_progress

pytestmark = pytest.mark.usefixtures("customers", "small_pieces")

AT_ONCE = timedelta(0)
BeforeTransactions = Callable[[Callable[[int], object]], None]


def test_it_says_how_much_is_done_and_nothing_twice(
    stage: Stage, before_transactions: BeforeTransactions
) -> None:
    stage.rotate()
    run_id = stage.start(workers=1)
    before_transactions(lambda _: tell_progress(stage.pool, run_id, every=AT_ONCE))
    stage.settle(run_id)
    told = stage.announcements("reencryption.progress")
    assert len(told) > 3
    assert {each["run_id"] for each in told} == {run_id}
    assert {each["phase"] for each in told} == {"rewriting"}
    percents = [each["percent"] for each in told]
    assert percents == sorted(set(percents))
    assert percents == [100 * each["done"] // each["total"] for each in told]


def test_a_run_that_began_just_now_says_nothing(
    stage: Stage, before_transactions: BeforeTransactions
) -> None:
    stage.rotate()
    run_id = stage.start(workers=1)
    told: list[bool] = []
    before_transactions(lambda _: told.append(tell_progress(stage.pool, run_id)))
    stage.settle(run_id)
    assert set(told) == {False}
    assert len(stage.announcements("reencryption.completed")) == 1


def test_whoever_finds_the_run_locked_goes_on_with_its_work(
    stage: Stage, before_transactions: BeforeTransactions
) -> None:
    stage.rotate()
    run_id = stage.start(workers=1)
    told: list[bool] = []

    def tell_beside_somebody(_: int) -> None:
        with stage.application() as other:
            other.execute(
                "SELECT FROM keywright.reencryption_run WHERE run_id = %s FOR UPDATE", [run_id]
            )
            told.append(tell_progress(stage.pool, run_id, every=AT_ONCE))

    before_transactions(tell_beside_somebody)
    stage.settle(run_id)
    assert set(told) == {False}


def test_a_run_that_is_over_says_only_that(stage: Stage) -> None:
    stage.rotate()
    run = stage.complete()
    assert not tell_progress(stage.pool, run.run_id, every=AT_ONCE)
    assert stage.announcements("reencryption.progress") == []
