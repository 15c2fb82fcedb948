"""A job enters the ledger with its caller's transaction, or not at all."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest

from tests.integration.jobs.workbench import Brief, Plain, claim, count, finish_as, row
from tests.servers.waiting import until
from workers.contract import DeliverNotices, Ping, Queue
from workers.database.pool import Connection
from workers.errors import KeywrightError
from workers.jobs.claim import claim_job
from workers.jobs.enqueue import Enqueued, enqueue, enqueue_many
from workers.jobs.relay import offer_some, offer_window
from workers.organizations.store import add_organization


@pytest.fixture
def other(conninfo: str) -> Iterator[Connection]:
    """A second connection, of somebody else."""
    with psycopg.connect(conninfo, autocommit=True) as other:
        yield other


@pytest.fixture
def acme(connection: Connection) -> int:
    """An organization."""
    return add_organization(
        connection, name="Acme", time_zone="UTC", sending_hour=8, is_sandbox=False
    )


def waits_for_a_lock(connection: Connection) -> Callable[[], bool]:
    """Say whether anybody in this database waits for a lock."""
    return lambda: (
        connection.execute(
            "SELECT FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).rowcount
        > 0
    )


def test_what_the_kind_says_is_written_down(connection: Connection, acme: int) -> None:
    request = DeliverNotices(digest_ids=(3, 5))
    enqueued = enqueue(connection, request, organization_id=acme, unique_key="today")
    assert enqueued.created
    job = row(connection, enqueued.job_id)
    assert (job["kind"], job["queue"]) == ("notice.deliver", "notifications")
    assert job["arguments"] == {"digest_ids": [3, 5]}
    assert (job["organization_id"], job["unique_key"]) == (acme, "today")
    assert (job["state"], job["attempt"], job["max_attempts"]) == ("scheduled", 0, 28)
    assert job["run_at"] == job["enqueued_at"]


def test_a_rollback_leaves_nothing(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        enqueue(connection, Plain(), unique_key="once")
        enqueue_many(connection, [Plain(), Brief()])
        assert count(connection) == 3
    assert count(connection) == 0


def test_nobody_sees_a_job_before_its_callers_transaction_commits(
    connection: Connection, other: Connection
) -> None:
    with connection.transaction():
        job_id = enqueue(connection, Plain()).job_id
        assert claim_job(other, job_id, worker="w", lease_seconds=1) is None
        assert offer_window(other) == []
        assert offer_some(other, tuple(Queue), 10) == []
    assert [hint.job_id for hint in offer_window(other)] == [job_id]


def test_a_job_waits_for_its_time(connection: Connection) -> None:
    at = datetime(2199, 12, 31, 23, 59, tzinfo=UTC)
    job_id = enqueue(connection, Plain(), run_at=at).job_id
    assert row(connection, job_id)["run_at"] == at
    assert offer_window(connection) == []


def test_a_time_in_the_past_means_now(connection: Connection) -> None:
    long_ago = datetime(1999, 1, 1, tzinfo=UTC)
    job_id = enqueue(connection, Plain(), run_at=long_ago).job_id
    assert [hint.job_id for hint in offer_window(connection)] == [job_id]


@pytest.mark.parametrize("state", ["scheduled", "ready", "running"])
def test_asking_again_finds_the_first_while_it_is_not_finished(
    connection: Connection, state: str
) -> None:
    first = enqueue(connection, Plain(number=1), unique_key="key")
    if state == "ready":
        offer_window(connection)
    elif state == "running":
        claim(connection, first.job_id)
    assert row(connection, first.job_id)["state"] == state
    second = enqueue(connection, Plain(number=2), unique_key="key")
    assert second == Enqueued(job_id=first.job_id, created=False)
    assert count(connection) == 1
    assert row(connection, first.job_id)["arguments"] == {"number": 1}


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_a_key_is_free_again_after_the_finish(connection: Connection, state: str) -> None:
    first = enqueue(connection, Plain(), unique_key="key")
    finish_as(connection, first.job_id, state)
    second = enqueue(connection, Plain(), unique_key="key")
    assert second.created
    assert second.job_id != first.job_id


def test_a_key_counts_per_kind_and_organization(connection: Connection, acme: int) -> None:
    other = add_organization(
        connection, name="Other", time_zone="UTC", sending_hour=8, is_sandbox=False
    )
    for _ in range(2):
        enqueue(connection, Plain(), unique_key="key")
        enqueue(connection, Brief(), unique_key="key")
        enqueue(connection, Plain(), unique_key="key", organization_id=acme)
        enqueue(connection, Plain(), unique_key="key", organization_id=other)
        enqueue(connection, Plain(), unique_key="another key")
    assert count(connection) == 5


def test_without_a_key_everybody_gets_a_job(connection: Connection) -> None:
    assert enqueue(connection, Plain()).job_id != enqueue(connection, Plain()).job_id


def test_of_many_who_ask_at_once_one_creates_the_job_and_all_know_it(
    connection: Connection, conninfo: str
) -> None:
    together = threading.Barrier(8)

    def ask(_: int) -> list[Enqueued]:
        with psycopg.connect(conninfo, autocommit=True) as own:
            together.wait(timeout=30)
            return [enqueue(own, Plain(), unique_key=f"key {n}") for n in range(20)]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))
    for of_one_key in zip(*answers, strict=True):
        assert len({enqueued.job_id for enqueued in of_one_key}) == 1
        assert sum(enqueued.created for enqueued in of_one_key) == 1
    assert count(connection) == 20


def test_keys_are_never_held_twice_while_jobs_finish_all_the_time(
    connection: Connection, conninfo: str
) -> None:
    def ask_and_finish(_: int) -> int:
        created = 0
        with psycopg.connect(conninfo, autocommit=True) as own:
            for _ in range(60):
                enqueued = enqueue(own, Plain(), unique_key="key")
                created += enqueued.created
                finish_as(own, enqueued.job_id, "succeeded")
        return created

    with ThreadPoolExecutor(4) as threads:
        created = sum(threads.map(ask_and_finish, range(4)))
    assert created == count(connection) >= 60


@pytest.mark.parametrize("outcome", ["commits", "rolls back"])
def test_who_asks_while_another_is_undecided_waits_for_the_decision(
    connection: Connection, other: Connection, conninfo: str, outcome: str
) -> None:
    with psycopg.connect(conninfo) as undecided, ThreadPoolExecutor(1) as thread:
        first = enqueue(undecided, Plain(), unique_key="key")
        second: Future[Enqueued] = thread.submit(enqueue, other, Plain(), unique_key="key")
        until(waits_for_a_lock(connection), "the second to wait")
        if outcome == "commits":
            undecided.commit()
            assert second.result(30) == Enqueued(job_id=first.job_id, created=False)
        else:
            undecided.rollback()
            assert second.result(30).created
    assert count(connection) == 1


def test_many_are_enqueued_in_order(connection: Connection) -> None:
    requests = [
        Plain(number=n) if n % 3 else DeliverNotices(digest_ids=(n + 1,)) for n in range(90)
    ]
    job_ids = enqueue_many(connection, requests)
    assert job_ids == sorted(set(job_ids))
    for job_id, request in zip(job_ids, requests, strict=True):
        job = row(connection, job_id)
        assert job["kind"] == request.kind
        assert job["queue"] == request.queue.value
        assert job["arguments"] == request.model_dump(mode="json")
        assert job["max_attempts"] == request.max_attempts


def test_many_belong_to_the_organization_they_were_enqueued_for(
    connection: Connection, acme: int
) -> None:
    [job_id] = enqueue_many(connection, [Plain()], organization_id=acme)
    assert row(connection, job_id)["organization_id"] == acme


def test_many_may_be_none(connection: Connection) -> None:
    assert enqueue_many(connection, []) == []


@pytest.mark.parametrize("key", ["", "x" * 201, "a\x00b"])
def test_a_key_that_the_ledger_cannot_hold_is_refused_with_a_reason(
    connection: Connection, key: str
) -> None:
    with pytest.raises(KeywrightError, match=r"unique_key"):
        enqueue(connection, Ping(), unique_key=key)
    assert count(connection) == 0


def test_a_job_for_an_organization_that_is_not_there_is_refused(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        enqueue(connection, Plain(), organization_id=77)
    assert count(connection) == 0
