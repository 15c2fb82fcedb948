"""What a job writes: together with its outcome, step by step, or not at all."""

import psycopg
import pytest

from tests.integration.jobs.workbench import (
    OutOfPaperError,
    Plain,
    Workbench,
    count,
    database_clock,
    problem,
    row,
    take_over,
)
from workers.database.pool import Connection
from workers.errors import PermanentError
from workers.jobs.retry import LeaseLostError
from workers.jobs.running import RunningJob


@pytest.fixture(autouse=True)
def _effects(connection: Connection) -> None:
    """A table in which effects are seen."""
    connection.execute("CREATE TABLE effect (job_id bigint UNIQUE DEFERRABLE INITIALLY DEFERRED)")


def leave_effect(job: RunningJob) -> None:
    """Write in the transaction that ends the job."""
    job.connection.execute("INSERT INTO effect VALUES (%s)", [job.job_id])


def test_effect_and_outcome_are_committed_together(
    connection: Connection, workbench: Workbench
) -> None:
    seen: list[tuple[int, str]] = []

    def handle(_request: Plain, job: RunningJob) -> None:
        leave_effect(job)
        seen.append((count(connection, "effect"), row(connection, job.job_id)["state"]))

    job = workbench.execute(handle)
    assert seen == [(0, "running")]
    assert (count(connection, "effect"), job.state) == (1, "succeeded")


@pytest.mark.parametrize(
    "error", [OutOfPaperError("x"), PermanentError("x"), ValueError("x"), SystemExit()]
)
def test_the_effect_of_an_attempt_that_failed_is_rolled_back(
    connection: Connection, workbench: Workbench, error: BaseException
) -> None:
    def handle(_request: Plain, job: RunningJob) -> None:
        leave_effect(job)
        raise error

    assert workbench.execute(handle).problem is not None
    assert count(connection, "effect") == 0


def test_an_effect_that_the_database_refuses_at_the_commit_is_no_success(
    connection: Connection, workbench: Workbench
) -> None:
    def handle(_request: Plain, job: RunningJob) -> None:
        leave_effect(job)
        leave_effect(job)

    job = workbench.execute(handle)
    assert (job.state, job.result) == ("scheduled", None)
    assert "UniqueViolation" in problem(job)["detail"]
    assert count(connection, "effect") == 0


def test_a_handler_that_overlooks_an_error_of_the_database_has_not_succeeded(
    connection: Connection, workbench: Workbench
) -> None:
    def handle(_request: Plain, job: RunningJob) -> None:
        leave_effect(job)
        with pytest.raises(psycopg.errors.DivisionByZero):
            job.connection.execute("SELECT 1 / 0")

    assert workbench.execute(handle).state == "scheduled"
    assert count(connection, "effect") == 0


def test_an_effect_whose_finish_loses_the_claim_is_rolled_back(
    connection: Connection, workbench: Workbench
) -> None:
    def handle(_request: Plain, job: RunningJob) -> None:
        job.connection.execute("INSERT INTO effect VALUES (%s)", [job.job_id])
        take_over(connection, job.job_id)

    job = workbench.execute(handle)
    assert (job.state, job.attempt, job.worker) == ("running", 2, "other:2")
    assert count(connection, "effect") == 0


def test_a_checkpoint_after_the_lease_was_lost_raises_and_leaves_nothing(
    connection: Connection, workbench: Workbench
) -> None:
    raised: list[LeaseLostError] = []

    def handle(_request: Plain, job: RunningJob) -> None:
        with job.checkpoint() as step:
            step.execute("INSERT INTO effect VALUES (1)")
        take_over(connection, job.job_id)
        try:
            with job.checkpoint() as step:
                step.execute("INSERT INTO effect VALUES (2)")
        except LeaseLostError as error:
            raised.append(error)
            raise

    job = workbench.execute(handle)
    assert len(raised) == 1
    assert (job.state, job.worker) == ("running", "other:2")
    assert connection.execute("SELECT job_id FROM effect").fetchall() == [(1,)]


def test_a_step_that_fails_leaves_nothing_and_steps_before_it_stay(
    connection: Connection, workbench: Workbench
) -> None:
    def handle(_request: Plain, job: RunningJob) -> None:
        for step in (1, 2):
            with job.checkpoint() as own:
                own.execute("INSERT INTO effect VALUES (%s)", [step])
                if step == 2:
                    raise OutOfPaperError("x")

    assert workbench.execute(handle).state == "scheduled"
    assert connection.execute("SELECT job_id FROM effect").fetchall() == [(1,)]


def test_a_checkpoint_extends_the_lease(connection: Connection, workbench: Workbench) -> None:
    def handle(_request: Plain, job: RunningJob) -> None:
        connection.execute("UPDATE keywright.job SET lease_until = now()")
        with job.checkpoint():
            pass
        assert row(connection, job.job_id)["lease_until"] > database_clock(connection)

    assert workbench.execute(handle).state == "succeeded"
