"""Destroying master keys: refused on evidence, and after it only their own values are closed."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.reencryption.holding import Holding
from tests.integration.reencryption.stage import Stage
from workers.contract import DestroyMasterKey, ReviewMasterKeys
from workers.database.pool import database_clock
from workers.errors import ConflictError
from workers.jobs.inspection import JobDetails
from workers.keys.keyring import DestroyedKeyError
from workers.keys.listing import show_key
from workers.keys.policy import set_rotation_policy
from workers.keys.states import State
from workers.reencryption import destruction
from workers.reencryption.control import cancel_run
from workers.reencryption.destruction import cancel_destruction, schedule_destruction

pytestmark = pytest.mark.usefixtures("small_pieces")


def schedule(stage: Stage, number: int, *, in_hours: float = 0) -> None:
    schedule_destruction(
        stage.connection,
        organization_id=stage.acme,
        number=number,
        at=database_clock(stage.connection) + timedelta(hours=in_hours),
        actor="test:ada",
        reason="a test",
    )


def destroy(stage: Stage, number: int) -> JobDetails:
    return stage.ask(DestroyMasterKey(key_number=number))


def state(stage: Stage, number: int) -> State:
    return show_key(stage.connection, stage.acme, number).state


def problem(job: JobDetails) -> dict[str, Any]:
    assert job.problem is not None
    return job.problem


def test_a_key_is_destroyed_once_nothing_needs_it(stage: Stage, customers: Holding) -> None:
    stage.rotate()
    stage.complete()
    schedule(stage, 1)
    assert destroy(stage, 1).result == {"destroyed": True}
    assert state(stage, 1) is State.DESTROYED
    customers.assert_nothing_lost()
    assert [told["number"] for told in stage.announcements("master_key.destroyed")] == [1]


def test_a_destruction_that_is_asked_for_twice_changes_nothing_more(
    stage: Stage, customers: Holding
) -> None:
    stage.rotate()
    stage.complete()
    schedule(stage, 1)
    assert destroy(stage, 1).result == {"destroyed": True}
    details = show_key(stage.connection, stage.acme, 1)
    assert destroy(stage, 1).result == {"destroyed": False}
    assert show_key(stage.connection, stage.acme, 1) == details
    assert len(stage.announcements("master_key.destroyed")) == 1
    customers.assert_nothing_lost()


def test_a_key_that_is_needed_is_kept_and_what_needs_it_is_listed(stage: Stage) -> None:
    here = Holding(stage).create().fill_numbers(50)
    there = Holding(stage, name="invoice", connection_name="billing", columns={"iban": "text"})
    there.create().fill_numbers(30)
    stage.rotate()
    run_id = stage.start()
    schedule(stage, 1)
    job = destroy(stage, 1)
    assert job.state == "failed"
    assert problem(job)["type"] == "urn:keywright:problem:key-still-needed"
    text = problem(job)["detail"]
    assert f"{here.field_name('card')} = {stage.name}.customer.card ({here.count_values()} " in text
    assert there.field_name("iban") in text
    assert f"({there.count_values()} values)" in text
    assert f"re-encryption run {run_id}, which is not finished" in text
    details = show_key(stage.connection, stage.acme, 1)
    assert (details.state, details.destroy_at) == (State.ARCHIVED, None)
    assert len(stage.announcements("master_key.destruction_cancelled")) == 1
    # It has to be scheduled anew, and then nothing stands in the way.
    assert stage.settle(run_id).state == "completed"
    assert destroy(stage, 1).result == {"destroyed": False}
    schedule(stage, 1)
    assert destroy(stage, 1).result == {"destroyed": True}
    here.assert_nothing_lost()
    there.assert_nothing_lost()


def test_an_unfinished_run_alone_keeps_the_key(stage: Stage, customers: Holding) -> None:
    stage.rotate()
    stage.complete()
    run_id = stage.start()
    schedule(stage, 1)
    assert f"run {run_id}" in problem(destroy(stage, 1))["detail"]
    cancel_run(stage.connection, run_id)
    schedule(stage, 1)
    assert destroy(stage, 1).result == {"destroyed": True}
    customers.assert_nothing_lost()


def test_a_destruction_waits_for_its_time_and_can_be_cancelled(
    stage: Stage, customers: Holding
) -> None:
    stage.rotate()
    stage.complete()
    schedule(stage, 1, in_hours=1)
    assert destroy(stage, 1).result == {"destroyed": False}
    schedule(stage, 1)
    cancel_destruction(stage.connection, organization_id=stage.acme, number=1, actor="test:ada")
    assert destroy(stage, 1).result == {"destroyed": False}
    assert state(stage, 1) is State.ARCHIVED
    with pytest.raises(ConflictError, match="Master key 2 is active; rotate it first"):
        schedule(stage, 2)
    customers.assert_nothing_lost()


def test_a_destruction_waits_for_a_transaction_that_may_still_write(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destruction, "FENCE_SECONDS", 0.05)
    holding = Holding(stage).create().fill_numbers(50)
    with stage.application() as slow:
        with stage.cipher.writing(slow, organization_id=stage.acme) as writer:
            late = writer.encrypt(holding.field_name("card"), row=(5,), value=b"late")
        stage.rotate()
        run_id = stage.start()
        cancel_run(stage.connection, run_id)
        stage.settle(run_id)
        schedule(stage, 1)
        job = destroy(stage, 1)
        assert job.state == "scheduled"  # to be tried again
        assert f"process {slow.info.backend_pid} " in problem(job)["detail"]
        holding.store(slow, (5,), {"card": late})
    stage.make_due()
    assert stage.execute(job.job_id).state == "failed"  # there are values
    holding.expected[stage.acme][(5,)]["card"] = b"late"
    holding.assert_nothing_lost()


def test_a_destruction_waits_for_a_worker_with_values_under_the_key_in_hand(
    stage: Stage,
    before_transactions: Callable[[Callable[[int], object]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(destruction, "FENCE_SECONDS", 0.05)
    holding = Holding(stage, connection_name="billing").create().fill_numbers(50)
    assert stage.rotate() == 2
    run_id = stage.start(workers=1)
    destructions: list[JobDetails] = []

    def sleep(number: int) -> None:
        if number == 1:
            cancel_run(stage.connection, run_id)
            stage.rotate()
            schedule(stage, 2)
            destructions.append(destroy(stage, 2))

    before_transactions(sleep)
    stage.settle(run_id)
    [job] = destructions
    assert job.state == "scheduled"  # to be tried again
    assert "workers of an earlier run: process " in problem(job)["detail"]
    stage.make_due()
    assert stage.execute(job.job_id).state == "failed"  # there are values
    assert state(stage, 2) is State.ARCHIVED
    holding.assert_nothing_lost()


def test_values_of_a_destroyed_key_say_so_and_their_neighbours_stay_readable(
    stage: Stage, customers: Holding
) -> None:
    stage.rotate()
    customers.update((7,), {"card": b"under key 2"})
    stage.export(1)
    # As if by somebody who does not ask: the job would have refused.
    stage.move_key(1, State.DESTROYED)
    opened = customers.opened()
    assert opened[(7,)]["card"] == b"under key 2"
    closed = [each["card"] for key, each in opened.items() if key != (7,)]
    assert Counter(type(each) for each in closed) == Counter(
        {DestroyedKeyError: customers.count_values() - 1, type(None): closed.count(None)}
    )
    stage.bring_back(1)
    customers.assert_nothing_lost()


def test_by_policy_a_key_rotates_the_fields_follow_and_the_old_key_ends(
    stage: Stage, customers: Holding
) -> None:
    set_rotation_policy(stage.connection, organization_id=stage.acme, every_days=30, reencrypt=True)
    stage.connection.execute(
        "UPDATE keywright.master_key SET state_since = now() - interval '31 days'"
        " WHERE organization_id = %s",
        [stage.acme],
    )
    for _ in range(2):  # a doubled tick rotates once
        assert stage.ask(ReviewMasterKeys()).state == "succeeded"
    while stage.execute_next() is not None:
        pass
    assert stage.keyring.active_number(stage.acme) == 2
    assert customers.numbers() == Counter({2: customers.count_values()})
    [told] = stage.announcements("reencryption.completed")
    assert told["rewritten"] == customers.count_rows()
    schedule(stage, 1)
    stage.ask(ReviewMasterKeys())
    while stage.execute_next() is not None:
        pass
    assert state(stage, 1) is State.DESTROYED
    customers.assert_nothing_lost()
