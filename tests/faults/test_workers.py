"""What becomes of jobs when their workers die, freeze, or are replaced by a deploy."""

import os
import signal

from tests.faults.conftest import Engine
from tests.faults.jobs import KillWorker, LeaveMark, WalkFar
from tests.servers.waiting import until
from workers.jobs.inspection import cancel_job, show_job


def test_a_worker_killed_mid_job_is_replaced_and_the_effect_happens_once(
    engine: Engine, held_job: int
) -> None:
    engine.start_scheduler()
    first = engine.start_worker()
    engine.await_arrival(held_job)
    first.kill()
    engine.start_worker()
    engine.await_arrival(held_job, attempt=2)
    engine.open_gate()
    engine.await_end([held_job])
    engine.assert_done_once([held_job])


def test_a_frozen_worker_that_wakes_up_cannot_finish_a_job_that_was_taken_over(
    engine: Engine, held_job: int
) -> None:
    engine.start_scheduler()
    frozen = engine.start_worker()
    engine.await_arrival(held_job)
    frozen.freeze()
    engine.start_worker()
    engine.await_arrival(held_job, attempt=2)
    engine.open_gate()
    frozen.thaw()
    engine.await_end([held_job])
    # The one that woke up still works on other jobs.
    others = engine.enqueue(LeaveMark(), times=20)
    engine.await_end(others)
    engine.assert_done_once([held_job, *others])


def test_a_worker_frozen_in_a_transaction_does_not_keep_its_successor_waiting(
    engine: Engine,
) -> None:
    [job_id] = engine.enqueue(LeaveMark(held=True, alone=True))
    engine.start_scheduler()
    frozen = engine.start_worker()
    engine.await_arrival(job_id)
    frozen.freeze()
    engine.start_worker()
    engine.await_arrival(job_id, attempt=2)
    engine.open_gate()
    engine.await_end([job_id])
    frozen.thaw()
    engine.assert_done_once([job_id])


def test_a_job_that_kills_its_workers_fails_after_its_last_attempt(engine: Engine) -> None:
    engine.start_scheduler()
    [job_id] = engine.enqueue(KillWorker())
    for attempt in (1, 2):
        worker = engine.start_worker()
        assert worker.process.wait(timeout=30) == -signal.SIGKILL
        until(lambda: engine.state(job_id)[0] != "running", f"attempt {attempt} to be reaped")
    job = show_job(engine.connect(), job_id)
    assert (job.state, job.attempt) == ("failed", 2)
    assert job.problem is not None
    assert job.problem["type"] == "urn:keywright:problem:worker-lost"
    # And it does not stand in the way of others.
    engine.start_worker()
    others = engine.enqueue(LeaveMark(), times=5)
    engine.await_end(others)
    engine.assert_done_once(others)


def test_a_deploy_gives_an_interrupted_job_its_attempt_back(engine: Engine, held_job: int) -> None:
    engine.start_scheduler()
    old = engine.start_worker()
    engine.await_arrival(held_job)
    old.stop()
    assert engine.state(held_job)[1] == 0
    engine.open_gate()
    engine.start_worker()
    engine.await_end([held_job])
    engine.assert_done_once([held_job])
    assert engine.state(held_job) == ("succeeded", 1)


def test_a_long_job_goes_on_at_its_checkpoint_after_a_deploy(engine: Engine) -> None:
    engine.start_scheduler()
    [job_id] = engine.enqueue(WalkFar(steps=60))
    old = engine.start_worker()
    until(lambda: _progress(engine, job_id) >= 5, "some steps")
    old.stop()
    state, attempt = engine.state(job_id)
    assert state in ("scheduled", "ready")  # the relay may have offered it again already
    assert attempt == 0
    steps_before = _marks(engine, job_id)
    assert 5 <= steps_before < 60
    engine.start_worker()
    engine.await_end([job_id])
    assert engine.state(job_id) == ("succeeded", 1)
    assert _marks(engine, job_id) == 60


def test_a_running_job_is_cancelled_at_its_next_checkpoint(engine: Engine) -> None:
    engine.start_scheduler()
    engine.start_worker()
    [job_id] = engine.enqueue(WalkFar(steps=100_000))
    until(lambda: _progress(engine, job_id) >= 2, "some steps")
    assert cancel_job(engine.connect(), job_id) == "running"
    engine.await_end([job_id])
    assert engine.state(job_id)[0] == "cancelled"


def test_several_workers_without_a_broker_share_the_work_and_survive_a_kill(
    engine: Engine,
) -> None:
    engine.broker_url = None
    engine.start_scheduler()
    workers = [engine.start_worker(threads=2) for _ in range(2)]
    [held] = engine.enqueue(LeaveMark(held=True))
    victim = engine.await_arrival(held)
    jobs = engine.enqueue(LeaveMark(), times=200)
    os.kill(victim, signal.SIGKILL)
    engine.open_gate()
    engine.await_end([held, *jobs])
    engine.assert_done_once([held, *jobs])
    assert sum(worker.process.poll() is None for worker in workers) == 1


def _progress(engine: Engine, job_id: int) -> int:
    progress = show_job(engine.connect(), job_id).progress
    return 0 if progress is None else int(progress["done"])


def _marks(engine: Engine, job_id: int) -> int:
    row = (
        engine.connect().execute("SELECT count(*) FROM mark WHERE job_id = %s", [job_id]).fetchone()
    )
    assert row is not None
    return int(row[0])
