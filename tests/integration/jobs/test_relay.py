"""From the ledger to the transport: a window, in order, and never the same job twice."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from tests.integration.jobs.workbench import claim, finish_as, new_jobs, row, states
from tests.servers.waiting import until
from workers.contract import Queue
from workers.database.pool import Connection, DatabaseUnavailableError, Pool
from workers.jobs.hints import Hint
from workers.jobs.loop import Loop
from workers.jobs.relay import broker_step, offer_some, offer_window, withdraw

SECOND = timedelta(seconds=1)


@pytest.fixture
def _short_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let relays rest a twentieth of a second after trouble."""
    monkeypatch.setattr("workers.jobs.relay._PAUSE_AFTER_TROUBLE", 0.05)


def numbers(hints: Sequence[Hint]) -> list[int]:
    """Return the numbers of the jobs that are hinted at."""
    return [hint.job_id for hint in hints]


def test_an_offer_is_marked_with_its_time_and_counted(connection: Connection) -> None:
    [job_id] = new_jobs(connection, 1)
    assert offer_window(connection) == [Hint(job_id, Queue.CERTIFICATES)]
    job = row(connection, job_id)
    assert (job["state"], job["hints"]) == ("ready", 1)
    assert job["hinted_at"] >= job["enqueued_at"]
    assert offer_window(connection) == []


def test_what_is_not_due_is_not_offered(connection: Connection) -> None:
    new_jobs(connection, 3, due=-60 * SECOND)
    assert offer_window(connection) == []
    assert offer_some(connection, tuple(Queue), 10) == []
    assert set(states(connection).values()) == {"scheduled"}


def test_what_runs_or_is_finished_is_not_offered(connection: Connection) -> None:
    running, succeeded, failed, cancelled = new_jobs(connection, 4)
    claim(connection, running)
    for job_id, state in ((succeeded, "succeeded"), (failed, "failed"), (cancelled, "cancelled")):
        finish_as(connection, job_id, state)
    assert offer_window(connection) == offer_some(connection, tuple(Queue), 10) == []


def test_a_window_is_filled_per_queue_and_no_further(connection: Connection) -> None:
    notices = new_jobs(connection, 5, queue=Queue.NOTIFICATIONS)
    purges = new_jobs(connection, 2, queue=Queue.MAINTENANCE)
    assert len(offer_window(connection, 3)) == 3 + 2
    assert offer_window(connection, 3) == []
    offered = [job_id for job_id in notices if row(connection, job_id)["state"] == "ready"]
    claim(connection, offered[0])
    assert len(offer_window(connection, 3)) == 1
    assert all(row(connection, job_id)["state"] == "ready" for job_id in purges)


def test_a_window_that_shrank_below_what_is_out_there_offers_nothing(
    connection: Connection,
) -> None:
    new_jobs(connection, 6)
    assert len(offer_window(connection, 4)) == 4
    assert offer_window(connection, 2) == []


def test_the_window_takes_who_waited_longest(connection: Connection) -> None:
    late = new_jobs(connection, 3, due=5 * SECOND)
    early = new_jobs(connection, 3, due=10 * SECOND)
    assert sorted(numbers(offer_window(connection, 3))) == early
    assert sorted(numbers(offer_window(connection, 5))) == late[:2]


def test_hints_leave_in_the_order_in_which_the_jobs_became_due(connection: Connection) -> None:
    # Mixed up enough that no plan of the database returns them in order by chance.
    connection.execute(
        "INSERT INTO keywright.job (kind, queue, max_attempts, run_at)"
        " SELECT 'test.plain', 'certificates', 1, now() - make_interval(secs => n * 7919 %% 1009)"
        " FROM generate_series(1, 300) AS n",
        [],
    )
    in_order = numbers_by_run_at(connection)
    assert numbers(offer_window(connection, 100)) == in_order[:100]
    assert numbers(offer_some(connection, tuple(Queue), 50)) == in_order[100:150]


def numbers_by_run_at(connection: Connection) -> list[int]:
    """Return the numbers of all jobs, the one that has been due for longest first."""
    rows = connection.execute("SELECT job_id FROM keywright.job ORDER BY run_at, job_id")
    return [found[0] for found in rows]


def test_a_small_room_goes_to_the_most_urgent_queue(connection: Connection) -> None:
    purges = new_jobs(connection, 3, queue=Queue.MAINTENANCE, due=60 * SECOND)
    notices = new_jobs(connection, 3, queue=Queue.NOTIFICATIONS, due=SECOND)
    assert sorted(numbers(offer_some(connection, tuple(Queue), 4))) == [purges[0], *notices]


def test_only_the_queues_that_are_served_are_offered(connection: Connection) -> None:
    new_jobs(connection, 3, queue=Queue.NOTIFICATIONS)
    [served] = new_jobs(connection, 1, queue=Queue.ENCRYPTION)
    assert numbers(offer_some(connection, [Queue.ENCRYPTION], 10)) == [served]
    assert offer_some(connection, [], 10) == []
    assert offer_some(connection, tuple(Queue), 0) == []


def test_two_relays_at_once_never_wait_for_each_other(
    connection: Connection, conninfo: str
) -> None:
    job_ids = new_jobs(connection, 20)
    with psycopg.connect(conninfo) as slow:
        first = numbers(offer_some(slow, tuple(Queue), 5))
        connection.execute("SET statement_timeout = '5s'")
        second = numbers(offer_some(connection, tuple(Queue), 5))
        rest = numbers(offer_window(connection))
        assert sorted(first + second + rest) == job_ids
        slow.rollback()
    # What the slow one had taken and not committed is offered by the next.
    assert sorted(numbers(offer_window(connection))) == sorted(first)


def test_many_relays_at_once_never_offer_a_job_twice(connection: Connection, conninfo: str) -> None:
    job_ids = new_jobs(connection, 400)
    together = threading.Barrier(4)

    def relay(number: int) -> list[int]:
        offered: list[int] = []
        with psycopg.connect(conninfo, autocommit=True) as own:
            together.wait(timeout=30)
            for _ in range(200):
                hints = offer_some(own, tuple(Queue), 7) if number % 2 else offer_window(own, 10**6)
                if not hints:
                    break
                offered += numbers(hints)
        return offered

    with ThreadPoolExecutor(4) as threads:
        offered = [job_id for each in threads.map(relay, range(4)) for job_id in each]
    offered += numbers(offer_window(connection, 10**6))
    assert sorted(offered) == job_ids
    assert connection.execute("SELECT DISTINCT hints FROM keywright.job").fetchall() == [(1,)]


def test_an_offer_is_taken_back_unless_the_job_has_moved_on(connection: Connection) -> None:
    waiting, running, finished, untouched = new_jobs(connection, 4)
    offer_window(connection)
    claim(connection, running)
    finish_as(connection, finished, "succeeded")
    withdraw(connection, [waiting, running, finished, 10**9])
    assert states(connection) == {
        waiting: "scheduled",
        running: "running",
        finished: "succeeded",
        untouched: "ready",
    }
    assert row(connection, waiting)["hints"] == 0
    withdraw(connection, [])
    assert row(connection, untouched)["state"] == "ready"


def test_a_step_publishes_what_it_marked(connection: Connection, pool: Pool) -> None:
    job_ids = new_jobs(connection, 5)
    published: list[Hint] = []

    def publish(hints: Sequence[Hint]) -> set[int]:
        # Marked and committed before it goes out: a hint never points at a job not offered yet.
        assert {row(connection, job_id)["state"] for job_id in numbers(hints)} == {"ready"}
        published.extend(hints)
        return set()

    step = broker_step(pool, publish, window=3)
    assert (step(), step()) == (3, 0)
    assert sorted(numbers(published)) == job_ids[:3]


@pytest.mark.usefixtures("_short_rest")
def test_what_the_broker_did_not_confirm_is_offered_again(
    connection: Connection, pool: Pool
) -> None:
    lost, *confirmed = new_jobs(connection, 4)
    assert broker_step(pool, lambda _: {lost})() == 4
    assert states(connection) == {lost: "scheduled"} | dict.fromkeys(confirmed, "ready")


def test_a_broker_that_is_away_costs_no_offer(connection: Connection, pool: Pool) -> None:
    job_ids = new_jobs(connection, 4)

    def publish(_: Sequence[Hint]) -> set[int]:
        raise DatabaseUnavailableError("any transient error")

    with pytest.raises(DatabaseUnavailableError):
        broker_step(pool, publish)()
    assert states(connection) == dict.fromkeys(job_ids, "scheduled")


@pytest.mark.usefixtures("_short_rest")
@pytest.mark.parametrize(
    "trouble",
    [
        DatabaseUnavailableError("the database is away"),
        psycopg.OperationalError("the connection is gone"),
        RuntimeError("something nobody foresaw"),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
def test_a_loop_goes_on_after_trouble(trouble: Exception) -> None:
    steps: list[int] = []

    def step() -> int:
        steps.append(len(steps))
        if len(steps) == 1:
            raise trouble
        return 0

    loop = Loop(step, name="relay")
    loop.start()
    until(lambda: len(steps) >= 3, "the loop to go on")
    loop.stop()
    seen = len(steps)
    assert not [thread for thread in threading.enumerate() if thread.name == "relay"]
    assert len(steps) == seen
