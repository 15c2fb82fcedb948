"""A scheduler as a whole: it refuses, fires, relays, reaps, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest
from pydantic import SecretStr

from scheduler.service import SchedulerService, run_scheduler
from scheduler.timetable import Schedule
from tests.servers.ending import ended
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.tcp_proxy import TcpProxy
from tests.servers.waiting import until
from workers.contract import Ping, PurgeJobs
from workers.database.pool import Connection, DatabaseUnavailableError
from workers.errors import ConflictError
from workers.jobs.claim import claim_job
from workers.jobs.enqueue import enqueue
from workers.settings import Settings

EVERY_MINUTE = Schedule(name="often", cron="* * * * *", request=Ping())
ONCE_A_YEAR = Schedule(name="seldom", cron="0 0 29 2 *", request=PurgeJobs())


def jobs(connection: Connection) -> list[tuple[str, str]]:
    """Return kind and state of every job."""
    return connection.execute(
        "SELECT kind, state::text FROM keywright.job ORDER BY job_id"
    ).fetchall()


def fires(connection: Connection) -> set[str]:
    """Return the names of the schedules that have fired."""
    return {row[0] for row in connection.execute("SELECT schedule FROM keywright.fire")}


def hints(node: RabbitmqNode, vhost: str) -> int:
    """Return how many hints are on the queue for maintenance."""
    with suppress(RuntimeError):  # a queue in the making has nobody to ask yet
        return node.queue_depths(vhost).get("maintenance", 0)
    return 0


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Fail if a thread that begins in the block lives on after it."""
    before = set(threading.enumerate())
    yield
    until(lambda: set(threading.enumerate()) <= before, "all threads to end", seconds=10)


def test_a_database_without_the_schema_is_refused(postgres: PostgresServer) -> None:
    with (
        nothing_left_behind(),
        postgres.database(schema=False) as conninfo,
        pytest.raises(ConflictError, match="`keywright database create`"),
    ):
        SchedulerService(conninfo, None)


def test_a_database_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with nothing_left_behind(), pytest.raises(DatabaseUnavailableError):
        SchedulerService(f"host={tmp_path} user=nobody", None)


def test_what_is_owed_is_fired_at_the_start(connection: Connection, conninfo: str) -> None:
    with (
        nothing_left_behind(),
        SchedulerService(conninfo, None, timetable=(EVERY_MINUTE, ONCE_A_YEAR)),
    ):
        until(lambda: fires(connection), "the first fire")
    assert fires(connection) == {"often"}
    assert jobs(connection) == [("system.ping", "scheduled")]


def test_on_request_every_schedule_fires_owed_or_not(connection: Connection, conninfo: str) -> None:
    timetable = (EVERY_MINUTE, ONCE_A_YEAR)
    with SchedulerService(conninfo, None, timetable=timetable, fire_now=True):
        assert fires(connection) >= {"often", "seldom"}
    kinds = {kind for kind, _ in jobs(connection)}
    assert kinds == {"system.ping", "job.purge"}


def test_one_schedule_that_cannot_fire_does_not_silence_the_others(
    connection: Connection, conninfo: str
) -> None:
    # Whatever is wrong with it: here, the database refuses its job.
    connection.execute(
        "ALTER TABLE keywright.job ADD CONSTRAINT no_purge CHECK (kind <> 'job.purge')"
    )
    broken = Schedule(name="broken", cron="* * * * *", request=PurgeJobs())
    with SchedulerService(conninfo, None, timetable=(broken, EVERY_MINUTE)):
        until(lambda: fires(connection) == {"often"}, "the other to fire")


def test_a_due_job_becomes_a_hint_on_the_broker(
    connection: Connection,
    conninfo: str,
    broker_url: str,
    rabbitmq_node: RabbitmqNode,
    broker_vhost: str,
) -> None:
    with nothing_left_behind(), SchedulerService(conninfo, broker_url, timetable=()):
        enqueue(connection, Ping())
        until(lambda: jobs(connection) == [("system.ping", "ready")], "the job to be offered")
        until(lambda: hints(rabbitmq_node, broker_vhost) == 1, "its hint")


def test_without_a_broker_nothing_is_offered_but_silent_workers_are_noticed(
    connection: Connection, conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.jobs.reaper.PERIOD_SECONDS", 0.05)
    lost, _waiting = (enqueue(connection, Ping()).job_id for _ in range(2))
    assert claim_job(connection, lost, worker="w", lease_seconds=0) is not None
    with SchedulerService(conninfo, None, timetable=()):
        until(
            lambda: jobs(connection) == [("system.ping", "scheduled")] * 2,
            "the lost job to be found",
        )
    assert [row[0] for row in connection.execute("SELECT sum(hints) FROM keywright.job")] == [0]


def test_a_broker_that_is_away_at_the_start_delays_hints_and_nothing_else(
    connection: Connection,
    conninfo: str,
    rabbitmq_node: RabbitmqNode,
    broker_vhost: str,
) -> None:
    with TcpProxy(rabbitmq_node.port) as proxy:
        proxy.refuse(on=True)
        url = rabbitmq_node.url(broker_vhost, port=proxy.port)
        with nothing_left_behind(), SchedulerService(conninfo, url, timetable=(EVERY_MINUTE,)):
            until(lambda: fires(connection), "the first fire")
            until(lambda: jobs(connection)[0][1] == "scheduled", "the offer to be withdrawn")
            proxy.refuse(on=False)
            until(lambda: hints(rabbitmq_node, broker_vhost) >= 1, "the hint")


def test_it_runs_as_the_settings_say_until_it_is_stopped(
    connection: Connection, conninfo: str
) -> None:
    stop = threading.Event()
    settings = Settings.model_construct(database_url=SecretStr(conninfo), broker_url=None)
    with nothing_left_behind():
        thread = threading.Thread(target=run_scheduler, args=(settings, stop), daemon=True)
        thread.start()
        try:
            until(lambda: "expiry-scan" in fires(connection), "the usual timetable to be served")
        finally:
            stop.set()
            thread.join(timeout=30)
    assert ("expiry.scan", "scheduled") in jobs(connection)


def start_process(conninfo: str) -> subprocess.Popen[str]:
    """Run a scheduler in a process of its own."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("KEYWRIGHT_")
    }
    return subprocess.Popen(
        [sys.executable, "-m", "scheduler"],
        env=environment | {"KEYWRIGHT_DATABASE_URL": conninfo},
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def as_url(conninfo: str) -> str:
    """Write a connection string as a URL."""
    pairs = dict(pair.split("=", 1) for pair in conninfo.split())
    return f"postgresql:///{pairs.pop('dbname')}?{urlencode(pairs)}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_of_its_own_ends_well_when_it_is_asked_to(
    connection: Connection, conninfo: str, number: signal.Signals
) -> None:
    with ended(start_process(as_url(conninfo))) as process:
        until(lambda: fires(connection), "the first fire")
        process.send_signal(number)
        _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert '"event": "scheduler stopped"' in log.splitlines()[-1]


def test_a_process_that_cannot_begin_says_why_in_one_line(tmp_path: Path) -> None:
    with ended(start_process(f"postgresql://user:hunter2@/db?host={tmp_path}")) as process:
        _, log = process.communicate(timeout=30)
    assert process.returncode == 1
    [line] = log.splitlines()
    assert line.startswith("scheduler: Cannot connect to the database (")
    assert "hunter2" not in line
