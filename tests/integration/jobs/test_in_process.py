"""Hints that stay in the memory of one worker process: a few at a time, and none kept back."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import dramatiq
import pytest

from tests.integration.jobs.workbench import Plain, new_jobs, row, states
from tests.servers.waiting import until
from workers.composition import compose_worker
from workers.contract import JobRequest, Queue
from workers.database.pool import Connection, Pool
from workers.jobs.execution import Handler
from workers.jobs.in_process import InProcessBroker, InProcessRelay
from workers.jobs.running import RunningJob
from workers.settings import Settings

QUEUES = tuple(Queue)

Work = Callable[[Mapping[type[JobRequest], Handler]], None]


@pytest.fixture
def broker() -> InProcessBroker:
    """A broker that nobody consumes from."""
    broker = InProcessBroker(middleware=[])
    for queue in Queue:
        broker.declare_queue(queue.value)
    return broker


@contextmanager
def feeding(
    pool: Pool, broker: InProcessBroker, *, room: int, queues: tuple[Queue, ...] = QUEUES
) -> Iterator[InProcessRelay]:
    """Relay into ``broker`` for the length of the block."""
    broker.last_job_seconds = 0  # as if jobs had been short so far
    relay = InProcessRelay(pool, broker, queues, room=room, threads=1)
    relay.start()
    try:
        yield relay
    finally:
        relay.stop()


def ready(connection: Connection) -> list[int]:
    """Return the jobs that are offered."""
    return [job_id for job_id, state in states(connection).items() if state == "ready"]


@pytest.fixture
def work(conninfo: str) -> Iterator[Work]:
    """Run a worker with two threads until the test ends."""
    with ExitStack() as stack:

        def start(handlers: Mapping[type[JobRequest], Handler]) -> None:
            settings = Settings(worker_threads=2, shutdown_grace_seconds=0)
            broker = compose_worker(settings, conninfo, handlers=handlers)
            worker = dramatiq.Worker(broker, worker_threads=2, worker_timeout=100)
            worker.start()
            stack.callback(worker.stop, timeout=20_000)

        yield start


def test_no_more_is_taken_than_there_is_room_for(
    connection: Connection, pool: Pool, broker: InProcessBroker
) -> None:
    job_ids = new_jobs(connection, 10)
    with feeding(pool, broker, room=4):
        until(lambda: len(broker.outstanding) == 4, "the room to be full")
        assert ready(connection) == job_ids[:4] == sorted(broker.outstanding)
        broker.settle(job_ids[1])
        until(lambda: len(broker.outstanding) == 4, "the room to be full again")
    assert ready(connection) == job_ids[:5]
    assert broker.queues["certificates"].qsize() == 5


def test_settling_what_is_not_outstanding_makes_no_room(
    connection: Connection, pool: Pool, broker: InProcessBroker
) -> None:
    new_jobs(connection, 3)
    broker.settle(10**9)
    with feeding(pool, broker, room=1):
        until(lambda: broker.outstanding, "the room to be full")
    assert len(ready(connection)) == 1


def test_what_was_not_begun_is_given_back(
    connection: Connection, pool: Pool, broker: InProcessBroker
) -> None:
    begun, *waiting = new_jobs(connection, 4)
    with feeding(pool, broker, room=4) as relay:
        until(lambda: len(broker.outstanding) == 4, "all to be offered")
    connection.execute(
        "UPDATE keywright.job SET state = 'succeeded', finished_at = now() WHERE job_id = %s",
        [begun],
    )
    relay.withdraw_outstanding()
    assert states(connection) == {begun: "succeeded"} | dict.fromkeys(waiting, "scheduled")


def test_only_the_queues_that_are_served_are_taken(
    connection: Connection, pool: Pool, broker: InProcessBroker
) -> None:
    new_jobs(connection, 2, queue=Queue.MAINTENANCE)
    [served] = new_jobs(connection, 1, queue=Queue.ENCRYPTION)
    with feeding(pool, broker, room=9, queues=(Queue.ENCRYPTION,)):
        until(lambda: broker.outstanding, "the one to be offered")
    assert ready(connection) == [served]


def test_two_processes_share_the_jobs_and_none_is_offered_twice(
    connection: Connection, ledger: Pool
) -> None:
    job_ids = new_jobs(connection, 60)
    brokers = [InProcessBroker(middleware=[]) for _ in range(2)]
    for broker in brokers:
        broker.declare_queue("certificates")
    with feeding(ledger, brokers[0], room=30), feeding(ledger, brokers[1], room=30):
        until(lambda: len(ready(connection)) == 60, "all to be offered")
    first, second = (broker.outstanding for broker in brokers)
    assert not first & second
    assert sorted(first | second) == job_ids


def test_a_worker_without_a_broker_works_off_the_ledger(connection: Connection, work: Work) -> None:
    job_ids = new_jobs(connection, 50)
    work({Plain: lambda _request, _job: None})
    until(lambda: set(states(connection).values()) == {"succeeded"}, "all jobs to succeed")
    assert {row(connection, job_id)["attempt"] for job_id in job_ids} == {1}


@pytest.mark.parametrize("failure", [RuntimeError("x"), SystemExit(1)])
def test_jobs_that_fail_in_any_way_keep_no_room_from_others(
    connection: Connection, work: Work, failure: BaseException
) -> None:
    def handle(request: Any, _job: RunningJob) -> None:
        if request.number:
            raise failure

    for job_id in new_jobs(connection, 10):
        connection.execute(
            "UPDATE keywright.job SET arguments = '{\"number\": 1}' WHERE job_id = %s", [job_id]
        )
    work({Plain: handle})
    until(lambda: not ready(connection), "the failing jobs to be taken")
    [good] = new_jobs(connection, 1)
    until(lambda: states(connection)[good] == "succeeded", "the good job to be done")


def test_what_waits_behind_something_long_is_given_back_to_the_others(
    connection: Connection, pool: Pool, broker: InProcessBroker
) -> None:
    begun, waiting = new_jobs(connection, 2)
    with feeding(pool, broker, room=2):
        until(lambda: len(broker.outstanding) == 2, "both to be offered")
        broker.begin(begun)
        until(lambda: states(connection)[waiting] == "scheduled", "the other to be given back")
        assert broker.outstanding == {begun}
        broker.settle(begun)
        until(lambda: broker.outstanding == {waiting}, "it to be taken again")


def test_two_long_jobs_run_in_two_processes(connection: Connection, conninfo: str) -> None:
    both = threading.Barrier(3)

    def handle(_request: Plain, _job: RunningJob) -> None:
        both.wait(30)

    new_jobs(connection, 2)
    with ExitStack() as stack:
        for _ in range(2):
            settings = Settings(worker_threads=1, shutdown_grace_seconds=0)
            broker = compose_worker(settings, conninfo, handlers={Plain: handle})
            worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=100)
            worker.start()
            stack.callback(worker.stop, timeout=20_000)
        both.wait(30)
        until(lambda: set(states(connection).values()) == {"succeeded"}, "both to succeed")


def test_a_worker_that_stops_keeps_no_offer_back(
    connection: Connection, conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.jobs.in_process.HOARDING_SECONDS", 60)
    gate = threading.Event()
    settings = Settings(worker_threads=1, shutdown_grace_seconds=30)
    running, *waiting = new_jobs(connection, 5)

    def handle(_request: Plain, _job: RunningJob) -> None:
        assert gate.wait(30)

    broker = compose_worker(settings, conninfo, handlers={Plain: handle})
    assert isinstance(broker, InProcessBroker)
    broker.last_job_seconds = 0
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=100)
    worker.start()
    until(lambda: states(connection)[running] == "running", "the first job to run")
    until(lambda: len(ready(connection)) == 1, "the next to be offered")
    stopping = threading.Thread(target=worker.stop, kwargs={"timeout": 20_000}, daemon=True)
    stopping.start()
    gate.set()
    stopping.join(timeout=30)
    assert not stopping.is_alive()
    assert states(connection) == {running: "succeeded"} | dict.fromkeys(waiting, "scheduled")
