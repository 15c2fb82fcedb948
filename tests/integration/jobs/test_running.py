"""A job that loses its claim, its time or its worker while it runs: what stays, what does not."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.integration.jobs.workbench import (
    Brief,
    OutOfPaperError,
    Plain,
    Workbench,
    count,
    database_clock,
    row,
    take_over,
)
from tests.servers.waiting import until
from workers.database.pool import Connection, Pool
from workers.jobs.enqueue import enqueue
from workers.jobs.inspection import cancel_job
from workers.jobs.interruption import ClaimLost
from workers.jobs.reaper import reap_expired_leases
from workers.jobs.running import RunningJob

Handle = Callable[[Any, RunningJob], None]


@pytest.fixture(autouse=True)
def _effects(connection: Connection) -> None:
    """A table in which effects are seen."""
    connection.execute("CREATE TABLE effect (job_id bigint)")


def wait_for_the_end() -> None:
    """Go on until an interruption strikes."""
    while True:
        time.sleep(0.005)


def sleep_in_python(_job: RunningJob) -> None:
    """Wait where an interruption strikes by itself."""
    wait_for_the_end()


def sleep_in_postgres(job: RunningJob) -> None:
    """Wait where nothing strikes before the server answers."""
    job.connection.execute("SELECT pg_sleep(60)")


def sleep_and_overhear(job: RunningJob) -> None:
    """Wait, and take no error for an answer."""
    while True:
        with suppress(Exception):
            sleep_in_postgres(job)


@pytest.mark.parametrize("sleep", [sleep_in_python, sleep_in_postgres, sleep_and_overhear])
def test_the_time_limit_ends_a_job_wherever_it_waits(
    connection: Connection, workbench: Workbench, sleep: Callable[[RunningJob], None]
) -> None:
    def handle(_request: Brief, job: RunningJob) -> None:
        job.connection.execute("INSERT INTO effect VALUES (%s)", [job.job_id])
        sleep(job)

    began = time.monotonic()
    job = workbench.execute(handle, Brief())
    assert time.monotonic() - began < 10
    assert (job.state, job.attempt) == ("scheduled", 1)
    assert job.problem is not None
    assert job.problem["type"] == "urn:keywright:problem:time-limit-exceeded"
    assert "test.brief" in job.problem["detail"]
    assert count(connection, "effect") == 0


def test_a_statement_that_was_cancelled_costs_nobody_else_anything(
    pool: Pool, workbench: Workbench
) -> None:
    workbench.execute(lambda _request, job: sleep_in_postgres(job), Brief())
    for _ in range(pool.max_size + 1):
        with pool.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert workbench.execute(lambda _request, _job: None).state == "succeeded"


@pytest.mark.parametrize("error", [None, OutOfPaperError("x"), ValueError("x")])
def test_an_outcome_without_a_claim_is_not_recorded(
    connection: Connection, workbench: Workbench, error: Exception | None
) -> None:
    taken_over: list[dict[str, Any]] = []

    def handle(_request: Plain, job: RunningJob) -> None:
        take_over(connection, job.job_id)
        taken_over.append(row(connection, job.job_id))
        if error is not None:
            raise error

    job = workbench.execute(handle)
    assert [row(connection, job.job_id)] == taken_over


def test_progress_is_seen_while_the_job_runs(connection: Connection, workbench: Workbench) -> None:
    def handle(_request: Plain, job: RunningJob) -> None:
        job.connection.execute("SELECT 1")
        job.report_progress(3, 10)
        progress = row(connection, job.job_id)["progress"]
        assert (progress["done"], progress["total"]) == (3, 10)

    assert workbench.execute(handle).state == "succeeded"


def test_a_long_job_keeps_its_lease(connection: Connection, hasty_workbench: Workbench) -> None:
    def handle(_request: Plain, job: RunningJob) -> None:
        first = row(connection, job.job_id)["lease_until"]
        until(lambda: database_clock(connection) > first, "the first lease to be over")
        assert reap_expired_leases(connection) == 0

    job = hasty_workbench.execute(handle)
    assert (job.state, job.attempt) == ("succeeded", 1)


def test_a_job_that_was_taken_over_is_interrupted_and_touches_nothing(
    connection: Connection, hasty_workbench: Workbench
) -> None:
    def handle(_request: Plain, job: RunningJob) -> None:
        job.connection.execute("INSERT INTO effect VALUES (%s)", [job.job_id])
        take_over(connection, job.job_id)
        wait_for_the_end()

    job = hasty_workbench.execute(handle)
    assert (job.state, job.attempt, job.worker, job.problem) == (
        "running",
        2,
        "other:2",
        row(connection, job.job_id)["problem"],
    )
    assert count(connection, "effect") == 0


def test_a_job_that_listens_ends_when_its_cancellation_is_asked_for(
    connection: Connection, hasty_workbench: Workbench
) -> None:
    def handle(_request: Plain, job: RunningJob) -> None:
        with job.checkpoint() as step:
            step.execute("INSERT INTO effect VALUES (1)")
        job.connection.execute("INSERT INTO effect VALUES (2)")
        assert cancel_job(connection, job.job_id) == "running"
        while True:
            job.stop_if_asked()
            time.sleep(0.005)

    job = hasty_workbench.execute(handle)
    assert (job.state, job.attempt, job.result) == ("cancelled", 1, None)
    assert job.finished_at is not None
    # What it had committed stays, and what it had not is gone.
    assert connection.execute("SELECT job_id FROM effect").fetchall() == [(1,)]


def test_a_job_that_does_not_listen_may_finish_although_it_was_asked_to_stop(
    connection: Connection, workbench: Workbench
) -> None:
    def handle(_request: Plain, job: RunningJob) -> None:
        cancel_job(connection, job.job_id)

    assert workbench.execute(handle).state == "succeeded"


@pytest.mark.parametrize("ending", ["an error", "a shutdown"])
def test_a_job_whose_cancellation_was_asked_for_is_not_tried_again(
    connection: Connection, workbench: Workbench, ending: str
) -> None:
    def handle(_request: Plain, job: RunningJob) -> None:
        cancel_job(connection, job.job_id)
        if ending == "an error":
            raise OutOfPaperError("No paper.")
        workbench.keeper.shut_down_jobs()
        wait_for_the_end()

    job = workbench.execute(handle)
    assert job.state == "cancelled"
    assert job.finished_at is not None


@pytest.mark.parametrize("sleep", [sleep_in_python, sleep_in_postgres])
def test_at_shutdown_a_job_is_given_back_with_its_attempt(
    connection: Connection, workbench: Workbench, sleep: Callable[[RunningJob], None]
) -> None:
    arrived = threading.Event()

    def handle(_request: Plain, job: RunningJob) -> None:
        job.connection.execute("INSERT INTO effect VALUES (%s)", [job.job_id])
        arrived.set()
        sleep(job)

    shutdown = threading.Thread(
        target=lambda: arrived.wait(30) and workbench.keeper.shut_down_jobs(), daemon=True
    )
    shutdown.start()
    job = workbench.execute(handle)
    shutdown.join()
    assert (job.state, job.attempt, job.problem) == ("scheduled", 0, None)
    assert count(connection, "effect") == 0


def test_a_job_that_listens_ends_at_a_checkpoint_when_a_shutdown_is_announced(
    connection: Connection, workbench: Workbench
) -> None:
    def handle(_request: Plain, job: RunningJob) -> None:
        for step in range(100):
            job.stop_if_asked()
            with job.checkpoint() as own:
                own.execute("INSERT INTO effect VALUES (%s)", [step])
            if step == 4:
                workbench.keeper.announce_shutdown()

    job = workbench.execute(handle)
    assert (job.state, job.attempt) == ("scheduled", 0)
    assert count(connection, "effect") == 5


def test_a_job_is_lost_when_its_lease_cannot_be_renewed_for_a_whole_lease(
    connection: Connection, hasty_workbench: Workbench
) -> None:
    ledger = hasty_workbench.ledger
    job_id = enqueue(connection, Plain()).job_id
    ends: list[BaseException] = []

    def handle(_request: Plain, _job: RunningJob) -> None:
        # With no connection to be had, the database is away as far as the keeper can see.
        held = [ledger.getconn(timeout=30) for _ in range(ledger.max_size)]
        try:
            wait_for_the_end()
        except BaseException as error:
            ends.append(error)
            raise
        finally:
            for each in held:
                ledger.putconn(each)

    hasty_workbench.execution({Plain: handle}).execute(job_id)
    assert [type(error) for error in ends] == [ClaimLost]
    job = row(connection, job_id)
    assert (job["state"], job["attempt"], job["problem"]) == ("running", 1, None)
