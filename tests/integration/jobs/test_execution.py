"""One hinted job from its claim to its outcome, and what is written down of it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from pydantic import BaseModel

from tests.integration.jobs.workbench import (
    OutOfPaperError,
    Plain,
    Workbench,
    claim,
    database_clock,
    new_jobs,
    problem,
    row,
    states,
)
from workers.contract import DeliverNotices
from workers.database.pool import Connection, Pool
from workers.errors import InvalidRequestError, PermanentError
from workers.jobs.enqueue import enqueue
from workers.jobs.relay import offer_window
from workers.jobs.running import RunningJob


class Counted(BaseModel):
    """A result."""

    items: int
    label: str = "all"


def raising(error: BaseException) -> Callable[[Any, RunningJob], None]:
    """Return a handler that fails with ``error``."""

    def handle(_request: Any, _job: RunningJob) -> None:
        raise error

    return handle


def test_a_job_that_goes_well_succeeds_with_its_result(workbench: Workbench) -> None:
    seen: list[tuple[Any, RunningJob]] = []

    def handle(request: Plain, job: RunningJob) -> Counted:
        seen.append((request, job))
        return Counted(items=3)

    job = workbench.execute(handle, Plain(number=7))
    assert (job.state, job.attempt, job.worker) == ("succeeded", 1, "test:1")
    assert job.result == {"items": 3, "label": "all"}
    [(request, running)] = seen
    assert request == Plain(number=7)
    assert (running.job_id, running.organization_id, running.is_last_attempt) == (
        job.job_id,
        None,
        False,
    )
    assert running.now == job.started_at


def test_a_job_without_a_result_succeeds_without_one(workbench: Workbench) -> None:
    job = workbench.execute(lambda _request, _job: None)
    assert (job.state, job.result, job.problem) == ("succeeded", None, None)


def test_a_permanent_error_fails_the_job_at_once_with_a_problem_document(
    workbench: Workbench,
) -> None:
    job = workbench.execute(raising(InvalidRequestError("digest_ids: name one digest at least.")))
    assert (job.state, job.attempt, job.max_attempts) == ("failed", 1, 3)
    assert job.finished_at is not None
    assert job.problem == {
        "type": "urn:keywright:problem:invalid-request",
        "title": "The request is not valid",
        "detail": "digest_ids: name one digest at least.",
        "instance": f"urn:keywright:job:{job.job_id}",
        "attempt": 1,
    }


def test_a_transient_error_is_retried_later_each_time_after_a_longer_wait(
    connection: Connection, workbench: Workbench
) -> None:
    job_id = enqueue(connection, Plain()).job_id
    for attempt, wait in ((1, 10), (2, 20)):
        before = database_clock(connection)
        job = workbench.execute(raising(OutOfPaperError("No paper.")), job_id=job_id)
        after = database_clock(connection)
        assert (job.state, job.attempt, job.finished_at) == ("scheduled", attempt, None)
        assert problem(job)["type"] == "urn:keywright:problem:out-of-paper"
        assert problem(job)["attempt"] == attempt
        assert before + wait * timedelta(seconds=1) <= job.run_at
        assert job.run_at <= after + wait * timedelta(seconds=1.5)
        assert offer_window(connection) == []
        connection.execute("UPDATE keywright.job SET run_at = now()")
    job = workbench.execute(lambda _request, _job: None, job_id=job_id)
    assert (job.state, job.attempt, job.problem) == ("succeeded", 3, None)


def test_the_last_attempt_fails_the_job(connection: Connection, workbench: Workbench) -> None:
    job_id = enqueue(connection, Plain()).job_id
    connection.execute("UPDATE keywright.job SET attempt = max_attempts - 1")
    was_last: list[bool] = []

    def handle(_request: Plain, job: RunningJob) -> None:
        was_last.append(job.is_last_attempt)
        raise OutOfPaperError("No paper.")

    job = workbench.execute(handle, job_id=job_id)
    assert (job.state, job.attempt) == ("failed", 3)
    assert problem(job)["detail"] == "No paper."
    assert was_last == [True]


def test_a_kind_that_no_handler_is_there_for_fails_and_says_what_to_do(
    connection: Connection, workbench: Workbench
) -> None:
    [job_id] = new_jobs(connection, 1)
    workbench.execution({}).execute(job_id)
    job = row(connection, job_id)
    assert (job["state"], job["attempt"]) == ("failed", 1)
    assert job["problem"]["type"] == "urn:keywright:problem:unknown-kind"
    assert "test.plain" in job["problem"]["detail"]
    assert f"`keywright job retry {job_id}`" in job["problem"]["detail"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"digest_ids": []}, "digest_ids"),
        ({"digest_ids": [1, "hunter2"]}, "digest_ids.1"),
        ({"digest_ids": "hunter2"}, "digest_ids"),
        ({}, "digest_ids"),
        ({"digest_ids": [1], "also": "hunter2"}, "also"),
    ],
)
def test_arguments_that_do_not_fit_the_kind_fail_at_once_and_are_not_repeated(
    connection: Connection, workbench: Workbench, arguments: dict[str, Any], field: str
) -> None:
    job_id = enqueue(connection, DeliverNotices(digest_ids=(1,))).job_id
    connection.execute("UPDATE keywright.job SET arguments = %s", [Jsonb(arguments)])
    workbench.execution({DeliverNotices: raising(AssertionError("called"))}).execute(job_id)
    job = row(connection, job_id)
    assert (job["state"], job["attempt"]) == ("failed", 1)
    assert job["problem"]["type"] == "urn:keywright:problem:invalid-request"
    assert job["problem"]["detail"].startswith(f"Argument {field}: ")
    assert "hunter2" not in str(job["problem"])


@pytest.mark.parametrize(
    "error", [ValueError("hunter2"), KeyError("hunter2"), SystemExit("hunter2")]
)
def test_an_unforeseen_error_is_retried_and_its_message_is_hidden(
    workbench: Workbench, error: BaseException
) -> None:
    job = workbench.execute(raising(error))
    assert (job.state, job.attempt) == ("scheduled", 1)
    assert problem(job)["type"] == "urn:keywright:problem:unexpected"
    assert type(error).__name__ in problem(job)["detail"]
    assert "hunter2" not in str(job.problem)


@pytest.mark.parametrize("text", ["the server said \x00", "the server said \udcff", "x" * 100_000])
def test_whatever_the_text_of_an_error_the_failure_is_on_record(
    workbench: Workbench, text: str
) -> None:
    job = workbench.execute(raising(PermanentError(text)))
    assert job.state == "failed"
    assert problem(job)["detail"]


def test_a_result_that_the_ledger_cannot_hold_is_no_success(workbench: Workbench) -> None:
    job = workbench.execute(lambda _request, _job: Counted(items=1, label="\x00"))
    assert (job.state, job.result) == ("scheduled", None)
    assert problem(job)["type"] == "urn:keywright:problem:unexpected"


def test_a_result_that_the_ledger_cannot_hold_spoils_no_other_job(
    connection: Connection, workbench: Workbench
) -> None:
    def handle(request: Plain, _job: RunningJob) -> Counted:
        return Counted(items=request.number, label="all" if request.number else "\x00")

    job_ids = [enqueue(connection, Plain(number=n % 8)).job_id for n in range(160)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(workbench.execution({Plain: handle}).execute, job_ids))
    assert list(states(connection).values()) == (["scheduled"] + ["succeeded"] * 7) * 20


@pytest.mark.parametrize("state", ["running", "succeeded", "failed", "cancelled", "early", "gone"])
def test_a_hint_that_comes_twice_or_late_does_nothing(
    connection: Connection, workbench: Workbench, state: str
) -> None:
    [job_id] = new_jobs(connection, 1)
    if state == "running":
        claim(connection, job_id)
    elif state == "early":
        connection.execute("UPDATE keywright.job SET run_at = now() + interval '1 minute'")
    elif state == "gone":
        connection.execute("DELETE FROM keywright.job")
    else:
        connection.execute(
            "UPDATE keywright.job SET finished_at = now(), problem = '{}',"
            " state = %s::keywright.job_state",
            [state],
        )
    before = connection.execute("SELECT * FROM keywright.job").fetchall()
    workbench.execution({Plain: raising(AssertionError("called"))}).execute(job_id)
    assert connection.execute("SELECT * FROM keywright.job").fetchall() == before


def test_a_worker_that_is_stopping_begins_nothing_and_returns_the_offer(
    connection: Connection, workbench: Workbench
) -> None:
    [job_id] = new_jobs(connection, 1)
    offer_window(connection)
    execution = workbench.execution({Plain: raising(AssertionError("called"))})
    execution.stopping.set()
    execution.execute(job_id)
    job = row(connection, job_id)
    assert (job["state"], job["attempt"], job["hints"]) == ("scheduled", 0, 0)


def test_no_outcome_keeps_a_connection(pool: Pool, workbench: Workbench) -> None:
    outcomes = [None, OutOfPaperError("x"), PermanentError("x"), ValueError("x")]

    def handle(request: Plain, job: RunningJob) -> None:
        job.connection.execute("SELECT 1")
        error = outcomes[request.number]
        if error is not None:
            raise error

    for number in range(len(outcomes)):
        for _ in range(pool.max_size + 1):
            workbench.execute(handle, Plain(number=number))
    stats = pool.get_stats()
    assert stats["pool_available"] == stats["pool_size"] <= pool.max_size
