"""Begin, pause, resume, cancel: by people who come at any moment, and several of them at once."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.reencryption.holding import Holding
from tests.integration.reencryption.stage import Stage
from workers.errors import ConflictError, NotFoundError
from workers.jobs.inspection import cancel_job
from workers.reencryption import order, steps
from workers.reencryption.control import cancel_run, pause_run, resume_run

pytestmark = pytest.mark.usefixtures("small_pieces")

BeforeTransactions = Callable[[Callable[[int], object]], None]


def test_a_second_run_is_refused_and_told_of_the_first(stage: Stage, customers: Holding) -> None:
    first = stage.start()
    with pytest.raises(ConflictError, match=f"Run {first} of this organization is not finished"):
        stage.start("decrypt", *customers.field_names)
    pause_run(stage.connection, first, reason="a test")
    with pytest.raises(ConflictError, match=f"cancel {first}"):
        stage.start()
    other = stage.start(organization_id=stage.globex)
    assert cancel_run(stage.connection, first)
    assert stage.settle(other).state == "completed"
    assert stage.settle(stage.start()).state == "completed"


def test_of_two_runs_asked_for_at_once_one_begins(stage: Stage) -> None:
    together = threading.Barrier(4)

    def begin(_: int) -> int | str:
        together.wait(30)
        try:
            return stage.start()
        except ConflictError as refusal:
            return str(refusal)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(begin, range(4)))
    [run_id] = [answer for answer in answers if isinstance(answer, int)]
    refusals = [answer for answer in answers if isinstance(answer, str)]
    assert [f"Run {run_id} " in refusal for refusal in refusals] == [True] * 3
    assert stage.settle(run_id).state == "completed"


def test_a_pause_in_the_middle_of_a_range_stops_at_once_and_loses_nothing(
    stage: Stage, customers: Holding, before_transactions: BeforeTransactions
) -> None:
    stage.rotate()
    run_id = stage.start(workers=1)
    begun: list[int] = []

    def pause(number: int) -> None:
        begun.append(number)
        if number == 4:
            assert pause_run(stage.connection, run_id, reason="lunch")
            stage.let_the_monitor_look()

    before_transactions(pause)
    stage.reach(run_id, "rewriting")
    stage.execute_next()
    assert begun[-1] < 4 + order.STRIDES  # at most what had been read already was written
    run = stage.run(run_id)
    assert (run.state, run.resume_state, run.waiting_for) == ("paused", "rewriting", "lunch")
    assert stage.unfinished_jobs() == 0
    done = stage.totals(run_id)["rewritten"]
    assert 0 < done < customers.count_rows()
    customers.assert_nothing_lost()
    positions = stage.connection.execute(
        "SELECT position FROM keywright.reencryption_range WHERE run_id = %s AND position IS NOT"
        " NULL AND finished_at IS NULL",
        [run_id],
    ).fetchall()
    assert len(positions) == 1
    assert resume_run(stage.connection, run_id)
    assert stage.settle(run_id).state == "completed"
    assert stage.totals(run_id)["rewritten"] == customers.count_rows()
    assert customers.numbers() == Counter({2: customers.count_values()})
    customers.assert_nothing_lost()


def test_a_run_cancelled_in_the_middle_leaves_everything_readable_and_its_job_ends(
    stage: Stage, customers: Holding, before_transactions: BeforeTransactions
) -> None:
    stage.rotate()
    run_id = stage.start(workers=1)

    def cancel(number: int) -> None:
        if number == 4:
            assert cancel_run(stage.connection, run_id)
        if number == 5:
            stage.let_the_monitor_look()

    before_transactions(cancel)
    stage.reach(run_id, "rewriting")
    job = stage.execute_next()
    assert job is not None
    assert job.state == "succeeded"  # and does not look like a worker that fell silent
    run = stage.settle(run_id)
    assert run.state == "cancelled"
    assert set(customers.numbers()) == {1, 2}
    customers.assert_nothing_lost()
    [told] = stage.announcements("reencryption.cancelled")
    assert told["run_id"] == run_id
    assert not cancel_run(stage.connection, run_id)
    assert not resume_run(stage.connection, run_id)
    assert not pause_run(stage.connection, run_id, reason="too late")
    stage.complete()
    assert customers.numbers() == Counter({2: customers.count_values()})


@pytest.mark.parametrize("state", ["starting", "rewriting", "verifying"])
def test_a_run_goes_on_in_the_state_in_which_it_was_paused(
    stage: Stage, customers: Holding, state: str
) -> None:
    stage.rotate()
    run_id = stage.start()
    stage.reach(run_id, state)
    pause_run(stage.connection, run_id, reason="a test")
    assert stage.settle(run_id).state == "paused"
    assert stage.unfinished_jobs() == 0
    assert resume_run(stage.connection, run_id)
    assert stage.run(run_id).state == state
    assert stage.settle(run_id).state == "completed"
    customers.assert_nothing_lost()
    assert len(stage.announcements("reencryption.completed")) == 1


@pytest.mark.parametrize("state", ["starting", "rewriting", "verifying"])
def test_a_run_whose_jobs_were_cancelled_by_hand_gets_new_ones_when_it_is_resumed(
    stage: Stage, customers: Holding, state: str
) -> None:
    stage.rotate()
    run_id = stage.start()
    stage.reach(run_id, state)
    for (job_id,) in stage.connection.execute(
        "SELECT job_id FROM keywright.job WHERE finished_at IS NULL"
    ).fetchall():
        cancel_job(stage.connection, job_id)
    assert stage.execute_next() is None
    assert resume_run(stage.connection, run_id)
    assert stage.settle(run_id).state == "completed"
    customers.assert_nothing_lost()


def test_a_run_that_does_not_exist_is_not_found(stage: Stage) -> None:
    for act in (resume_run, cancel_run):
        with pytest.raises(NotFoundError, match="no run 4711"):
            act(stage.connection, 4711)


def test_pause_and_resume_in_quick_succession_leave_neither_too_many_jobs_nor_none(
    stage: Stage,
) -> None:
    holding = Holding(stage).create().fill_numbers(1200)
    stage.rotate()
    run_id = stage.start(workers=2)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            stage.execute_next()

    with ThreadPoolExecutor(2) as threads:
        workers = [threads.submit(work) for _ in range(2)]
        try:
            deadline = time.monotonic() + 40
            toggles, most = 0, 0
            while stage.run(run_id).state != "completed" and time.monotonic() < deadline:
                if toggles < 60:
                    pause_run(stage.connection, run_id, reason="a test")
                    resume_run(stage.connection, run_id)
                    toggles += 1
                most = max(most, stage.unfinished_jobs("reencryption.work"))
                stage.make_due()
            assert most <= 2
        finally:
            stop.set()
        for worker in workers:
            worker.result(30)
    run = stage.run(run_id)
    assert run.state == "completed", (run, stage.unfinished_jobs())
    assert stage.totals(run_id)["rewritten"] == holding.count_rows()
    holding.assert_nothing_lost()
    assert len(stage.announcements("reencryption.completed")) == 1


def test_the_fence_is_waited_for_and_who_is_in_the_way_is_named(
    stage: Stage, customers: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "FENCE_SECONDS", 0.05)
    with stage.application() as slow:
        with stage.cipher.writing(slow, organization_id=stage.acme) as writer:
            late = writer.encrypt(customers.field_name("card"), row=(5,), value=b"late")
        stage.rotate()
        run_id = stage.start()
        job = stage.execute_next()
        assert job is not None
        assert job.state == "scheduled"  # to be tried again
        run = stage.run(run_id)
        assert run.state == "starting"
        assert run.waiting_for is not None
        assert f"process {slow.info.backend_pid} " in run.waiting_for
        customers.store(slow, (5,), {"card": late})
    customers.expected[stage.acme][(5,)]["card"] = b"late"
    run = stage.settle(run_id)
    assert (run.state, run.waiting_for) == ("completed", None)
    assert customers.numbers() == Counter({2: customers.count_values()})
    customers.assert_nothing_lost()


def test_a_job_that_comes_twice_changes_nothing(stage: Stage, customers: Holding) -> None:
    stage.rotate()
    run = stage.complete()
    jobs = stage.connection.execute(
        "SELECT job_id, arguments, kind FROM keywright.job WHERE kind IN ("
        " 'reencryption.prepare', 'reencryption.work', 'reencryption.conclude')"
        " AND (arguments ->> 'run_id')::bigint = %s",
        [run.run_id],
    ).fetchall()
    assert len(jobs) >= 5
    kinds = {request.kind: request for request in stage.handlers}
    for _, arguments, kind in jobs:
        assert stage.ask(kinds[kind].model_validate(arguments)).state == "succeeded"
    assert stage.settle(run.run_id) == run
    assert len(stage.announcements("reencryption.completed")) == 1
    customers.assert_nothing_lost()
