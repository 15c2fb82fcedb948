"""What becomes of a run, and of every value, when something dies under it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pika
import pytest

from tests.faults.plant import ROWS, Plant
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.waiting import until
from workers.contract import Queue
from workers.reencryption.control import pause_run, resume_run


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[[str, str | None], Plant]]:
    """Make a plant around a database and a broker."""
    with ExitStack() as stack:
        yield lambda conninfo, broker_url: Plant(
            conninfo, broker_url, f"file:{tmp_path / 'root.key'}", stack
        )


@pytest.fixture
def plant(build: Callable[[str, str | None], Plant], conninfo: str, broker_url: str) -> Plant:
    """A plant over RabbitMQ, with nothing started yet."""
    return build(conninfo, broker_url)


@pytest.fixture
def small_plant(build: Callable[[str, str | None], Plant], conninfo: str) -> Plant:
    """A plant without a broker."""
    return build(conninfo, None)


def test_a_worker_killed_in_the_middle_of_a_range_is_replaced_and_every_row_counted_once(
    plant: Plant,
) -> None:
    plant.start_scheduler()
    workers = [plant.start_worker() for _ in range(2)]
    run_id = plant.start_run()
    plant.await_gate()
    job_id, name = plant.job_at_gate()
    pid = int(name.rpartition(":")[2])
    [victim] = [worker for worker in workers if worker.process.pid == pid]
    victim.kill()
    attempt = "SELECT attempt FROM keywright.job WHERE job_id = %s"
    until(lambda: plant.count(attempt, job_id) == 2, "another to take the job over")
    # The statement of the dead is still under way, and commits after all.
    plant.open_gate()
    plant.await_completion(run_id)
    plant.assert_nothing_lost(run_id)
    assert plant.rewritten(run_id) == ROWS


def test_a_worker_that_is_frozen_and_thawed_and_one_that_is_stopped_lose_nothing(
    small_plant: Plant,
) -> None:
    plant = small_plant
    workers = [plant.start_worker() for _ in range(2)]
    run_id = plant.start_run()
    with plant.writing():
        plant.await_gate()
        pid = int(plant.job_at_gate()[1].rpartition(":")[2])
        [frozen] = [worker for worker in workers if worker.process.pid == pid]
        [other] = [worker for worker in workers if worker is not frozen]
        frozen.freeze()
        plant.open_gate()
        other.stop()
        plant.start_worker()
        plant.start_scheduler()  # its reaper finds the frozen one
        plant.await_completion(run_id)
        frozen.thaw()
    assert plant.acknowledged > 10
    plant.assert_nothing_lost(run_id)


def test_a_run_survives_a_database_that_is_killed_and_comes_back(
    build: Callable[[str, str | None], Plant], postgres_to_break: PostgresServer
) -> None:
    with postgres_to_break.database() as conninfo:
        plant = build(conninfo, None)
        plant.start_scheduler()
        for _ in range(2):
            plant.start_worker()
        run_id = plant.start_run()
        with plant.writing():
            plant.await_gate()
            until(lambda: plant.rewritten(run_id) > 1000, "much to be done")
            postgres_to_break.kill()
            postgres_to_break.start()
            plant.open_gate()
            # Do not wait for the next of many attempts.
            plant.await_completion(run_id)
        plant.assert_nothing_lost(run_id)
        plant.stack.close()  # leave nobody connected: the database is dropped next


def test_a_run_survives_a_broker_that_is_killed_and_loses_every_hint(
    plant: Plant, rabbitmq_node: RabbitmqNode
) -> None:
    plant.start_scheduler()
    with pika.BlockingConnection(pika.URLParameters(str(plant.broker_url))) as thief:
        run_id = plant.start_run()
        until(
            lambda: plant.count("SELECT count(*) FROM keywright.job WHERE state = 'ready'") == 1,
            "the first hint",
        )
        plant.start_worker()
        until(lambda: plant.run(run_id).state != "starting", "the run to begin")
        thief.channel().queue_purge(Queue.ENCRYPTION.value)
    plant.await_gate()
    rabbitmq_node.kill()
    plant.open_gate()
    rabbitmq_node.start()
    plant.await_completion(run_id)
    plant.assert_nothing_lost(run_id)
    assert plant.rewritten(run_id) == ROWS


def test_connections_that_are_cut_again_and_again_only_delay_a_run(small_plant: Plant) -> None:
    plant = small_plant
    plant.start_scheduler()
    for _ in range(2):
        plant.start_worker()
    run_id = plant.start_run()
    plant.await_gate()
    cut = 0
    for _ in range(2):
        with plant.connect() as connection:
            cut += connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name LIKE 'keywright %%'"
                " AND pid <> pg_backend_pid()"
            ).rowcount
        plant.open_gate()
    assert cut > 6
    plant.await_completion(run_id)
    plant.assert_nothing_lost(run_id)
    assert plant.rewritten(run_id) == ROWS


def test_a_pause_is_heard_in_the_middle_of_a_range_by_all_processes(small_plant: Plant) -> None:
    plant = small_plant
    plant.open_gate()
    plant.start_scheduler()
    for _ in range(2):
        plant.start_worker()
    working = "SELECT count(*) FROM keywright.job WHERE state = 'running' AND kind = %s"
    running = (
        "SELECT count(*) FROM keywright.job"
        " WHERE state IN ('scheduled', 'ready', 'running') AND kind LIKE 'reencryption.%%'"
    )
    with plant.slowed_down(), plant.connect() as connection:
        run_id = plant.start_run()
        until(lambda: plant.count(working, "reencryption.work") == 2, "two to be at work")
        until(lambda: plant.rewritten(run_id) > 0, "a row")
        assert pause_run(connection, run_id, reason="a test")
        until(lambda: plant.count(running) == 0, "the jobs to end")
        assert plant.run(run_id).state == "paused"
        assert plant.rewritten(run_id) < ROWS / 2
    with plant.connect() as connection:
        assert resume_run(connection, run_id)
    plant.await_completion(run_id)
    plant.assert_nothing_lost(run_id)
    assert plant.rewritten(run_id) == ROWS
