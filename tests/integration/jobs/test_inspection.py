"""The ledger as people see and steer it."""

from datetime import timedelta

import pytest

from tests.integration.jobs.workbench import (
    Plain,
    claim,
    finish_as,
    new_jobs,
    row,
)
from workers.contract import Ping, Queue
from workers.database.pool import Connection
from workers.errors import ConflictError, NotFoundError
from workers.jobs.claim import claim_job, fail_job
from workers.jobs.enqueue import enqueue
from workers.jobs.inspection import (
    QueueBacklog,
    backlog,
    cancel_job,
    list_jobs,
    retry_job,
    show_job,
)
from workers.jobs.relay import offer_window
from workers.organizations.store import add_organization

FINISHED = ("succeeded", "failed", "cancelled")
UNFINISHED = ("scheduled", "ready", "running")


@pytest.fixture
def acme(connection: Connection) -> int:
    """An organization."""
    return add_organization(
        connection, name="Acme", time_zone="UTC", sending_hour=8, is_sandbox=False
    )


def job_in(connection: Connection, state: str, *, unique_key: str | None = None) -> int:
    """Return a new job in a given state."""
    job_id = enqueue(connection, Plain(), unique_key=unique_key).job_id
    if state == "running":
        claim(connection, job_id)
    elif state == "ready":
        connection.execute(
            "UPDATE keywright.job SET state = 'ready', hints = 1, hinted_at = now()"
            " WHERE job_id = %s",
            [job_id],
        )
    elif state in FINISHED:
        finish_as(connection, job_id, state)
    assert row(connection, job_id)["state"] == state
    return job_id


def test_jobs_are_listed_newest_first(connection: Connection, acme: int) -> None:
    job_ids = new_jobs(connection, 3)
    ours = enqueue(connection, Ping(), organization_id=acme).job_id
    fail_job(connection, claim(connection, job_ids[0]), {"title": "No such key"})
    jobs = list_jobs(connection)
    assert [job.job_id for job in jobs] == [ours, *reversed(job_ids)]
    assert [job.organization for job in jobs] == ["Acme", None, None, None]
    assert (jobs[-1].state, jobs[-1].problem_title) == ("failed", "No such key")
    assert (jobs[0].kind, jobs[0].state, jobs[0].problem_title) == (
        "system.ping",
        "scheduled",
        None,
    )


def test_a_listing_is_narrowed_by_state_and_kind(connection: Connection) -> None:
    failed = job_in(connection, "failed")
    job_in(connection, "succeeded")
    ping = enqueue(connection, Ping()).job_id
    assert [job.job_id for job in list_jobs(connection, state="failed")] == [failed]
    assert [job.job_id for job in list_jobs(connection, kind="system.ping")] == [ping]
    assert list_jobs(connection, state="failed", kind="system.ping") == []
    assert list_jobs(connection, kind="no.such") == []


def test_a_listing_goes_on_page_by_page(connection: Connection) -> None:
    job_ids = new_jobs(connection, 7)
    seen: list[int] = []
    before: int | None = None
    while page := list_jobs(connection, before=before, limit=3):
        assert len(page) <= 3
        seen += [job.job_id for job in page]
        before = seen[-1]
    assert seen == job_ids[::-1]


def test_a_job_is_shown_whole(connection: Connection, acme: int) -> None:
    job_id = enqueue(connection, Plain(number=7), organization_id=acme, unique_key="k").job_id
    offer_window(connection)
    fail_job(connection, claim(connection, job_id), {"title": "No such key", "detail": "Make one."})
    job = show_job(connection, job_id)
    assert (job.kind, job.queue, job.organization) == ("test.plain", "certificates", "Acme")
    assert (job.arguments, job.unique_key) == ({"number": 7}, "k")
    assert (job.state, job.attempt, job.max_attempts, job.hints) == ("failed", 1, 3, 1)
    assert job.problem == {"title": "No such key", "detail": "Make one."}
    assert job.problem_title == "No such key"
    assert (job.worker, job.lease_until, job.result) == ("test:1", None, None)


@pytest.mark.parametrize("job_id", [10**9, -1, 2**70])
def test_a_job_that_is_not_there_cannot_be_shown_retried_or_cancelled(
    connection: Connection, job_id: int
) -> None:
    for act in (show_job, retry_job, cancel_job):
        with pytest.raises(NotFoundError, match=f"There is no job {job_id}; `keywright job list`"):
            act(connection, job_id)


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_job_that_ended_badly_begins_anew_with_all_its_attempts(
    connection: Connection, state: str
) -> None:
    job_id = job_in(connection, state)
    connection.execute(
        "UPDATE keywright.job SET attempt = 3, hints = 4, cancel_asked_at = now(),"
        " run_at = now() + interval '1 hour'"
    )
    retry_job(connection, job_id)
    job = row(connection, job_id)
    assert (job["state"], job["attempt"], job["hints"]) == ("scheduled", 0, 0)
    assert (job["finished_at"], job["cancel_asked_at"]) == (None, None)
    assert [hint.job_id for hint in offer_window(connection)] == [job_id]
    assert claim(connection, job_id).attempt == 1


@pytest.mark.parametrize("state", ["succeeded", *UNFINISHED])
def test_a_job_that_did_not_end_badly_is_not_retried(connection: Connection, state: str) -> None:
    job_id = job_in(connection, state)
    before = row(connection, job_id)
    with pytest.raises(ConflictError, match=f"Job {job_id} is {state}; only failed and cancelled"):
        retry_job(connection, job_id)
    assert row(connection, job_id) == before


def test_a_job_whose_key_another_has_by_now_is_not_retried(connection: Connection) -> None:
    failed = job_in(connection, "failed", unique_key="key")
    successor = job_in(connection, "scheduled", unique_key="key")
    before = row(connection, failed)
    with pytest.raises(ConflictError, match="another unfinished job has its unique key by now"):
        retry_job(connection, failed)
    assert row(connection, failed) == before
    finish_as(connection, successor, "succeeded")
    retry_job(connection, failed)
    assert row(connection, failed)["state"] == "scheduled"


@pytest.mark.parametrize("state", ["scheduled", "ready"])
def test_a_waiting_job_is_cancelled_at_once(connection: Connection, state: str) -> None:
    job_id = job_in(connection, state, unique_key="key")
    assert cancel_job(connection, job_id) == "cancelled"
    job = row(connection, job_id)
    assert job["state"] == "cancelled"
    assert job["finished_at"] is not None
    assert claim_job(connection, job_id, worker="w", lease_seconds=1) is None
    assert enqueue(connection, Plain(), unique_key="key").created


def test_a_running_job_is_asked_to_end(connection: Connection) -> None:
    job_id = job_in(connection, "running")
    assert cancel_job(connection, job_id) == "running"
    job = row(connection, job_id)
    assert (job["state"], job["finished_at"]) == ("running", None)
    assert job["cancel_asked_at"] is not None
    assert cancel_job(connection, job_id) == "running"


@pytest.mark.parametrize("state", FINISHED)
def test_a_finished_job_cannot_be_cancelled(connection: Connection, state: str) -> None:
    job_id = job_in(connection, state)
    before = row(connection, job_id)
    with pytest.raises(ConflictError, match=f"Job {job_id} is {state} already"):
        cancel_job(connection, job_id)
    assert row(connection, job_id) == before


def test_an_empty_ledger_has_an_empty_backlog_in_the_order_of_urgency(
    connection: Connection,
) -> None:
    assert backlog(connection) == [
        QueueBacklog(queue=queue.value, waiting=0, due=0, running=0, failed=0, oldest_due_at=None)
        for queue in Queue
    ]


def test_the_backlog_counts_what_waits_runs_and_failed(connection: Connection) -> None:
    hour = timedelta(hours=1)
    new_jobs(connection, 2, queue=Queue.ENCRYPTION, due=-hour)
    oldest, *_ = new_jobs(connection, 3, queue=Queue.ENCRYPTION, due=hour)
    for state in ("running", "failed", "failed", "succeeded", "cancelled", "ready"):
        job_id = job_in(connection, state)
        connection.execute(
            "UPDATE keywright.job SET queue = 'encryption' WHERE job_id = %s", [job_id]
        )
    new_jobs(connection, 1, queue=Queue.MAINTENANCE)
    by_queue = {of_queue.queue: of_queue for of_queue in backlog(connection)}
    assert by_queue["encryption"] == QueueBacklog(
        queue="encryption",
        waiting=6,
        due=4,
        running=1,
        failed=2,
        oldest_due_at=row(connection, oldest)["run_at"],
    )
    assert (by_queue["maintenance"].waiting, by_queue["certificates"].waiting) == (1, 0)
