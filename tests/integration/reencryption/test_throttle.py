"""A run spares the database: what its monitor measures, and what becomes of it."""

import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from structlog.testing import capture_logs

from tests.integration.reencryption.holding import Holding
from tests.integration.reencryption.stage import Stage
from tests.servers.postgres import PostgresServer
from tests.servers.waiting import until
from workers.database.pool import Connection
from workers.reencryption import rewriting
from workers.reencryption.pacing import Limits, Signals
from workers.reencryption.signals import Monitor

pytestmark = pytest.mark.usefixtures("small_pieces")

LooksLike = Callable[..., None]


@pytest.fixture
def looks_like(monkeypatch: pytest.MonkeyPatch) -> LooksLike:
    """Have every monitor see, from now on, what is given, and measure the rest."""
    measure, seen = Monitor._measure, dict[str, Any]()

    def measure_and_see(self: Monitor, connection: Connection) -> Signals:
        return replace(measure(self, connection), **seen)

    monkeypatch.setattr(Monitor, "_measure", measure_and_see)

    def look(**values: Any) -> None:
        seen.clear()
        seen.update(values)

    return look


@pytest.mark.parametrize(
    ("signal", "says"),
    [
        ({"replication_lag_bytes": 2**40}, "a replica is 1,048,576 MiB behind"),
        ({"wal_bytes_per_second": 2.0**40}, "1,048,576 MiB/s of WAL are written"),
    ],
)
def test_a_run_writes_nothing_while_it_has_to_wait_and_says_why(
    stage: Stage,
    customers: Holding,
    looks_like: LooksLike,
    signal: dict[str, Any],
    says: str,
) -> None:
    looks_like(**signal)
    stage.rotate()
    run_id = stage.start(workers=1, limits=Limits(wal_bytes_per_second=2**30))
    stage.reach(run_id, "rewriting")
    with ThreadPoolExecutor(1) as threads:
        at_work = threads.submit(stage.execute_next)
        try:
            until(lambda: says in str(stage.run(run_id).waiting_for), "the reason")
            stage.let_the_monitor_look()
            assert not at_work.done()
            assert stage.totals(run_id)["rewritten"] == 0
        finally:
            looks_like(replication_lag_bytes=None, wal_bytes_per_second=None)
        at_work.result(60)
    run = stage.settle(run_id)
    assert (run.state, run.waiting_for) == ("completed", None)
    customers.assert_nothing_lost()


def test_a_run_for_which_others_wait_writes_less_at_a_time(
    stage: Stage, customers: Holding, looks_like: LooksLike, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    def next_rows(rows: int, _seconds: float, *, aim_seconds: float) -> int:
        assert aim_seconds
        written.append(rows)
        return rows

    monkeypatch.setattr(rewriting, "next_rows", next_rows)
    monkeypatch.setattr(rewriting, "FEWEST_ROWS", 2)
    looks_like(blocked_sessions=1)
    stage.rotate()
    stage.complete()
    assert (max(written), min(written)) == (10, 2)  # a half of the first, and so on
    customers.assert_nothing_lost()


@contextmanager
def watched(
    stage: Stage, pid: int, conninfo: str | None = None, **limits: Any
) -> Iterator[Monitor]:
    """Look at the database from beside a run whose process there is ``pid``."""
    connections = type(stage.connections)(conninfo or stage.conninfo, {})
    with Monitor(
        stage.pool,
        connections,
        run_id=stage.start(),
        connection_name=None,
        pid=pid,
        limits=Limits(**limits),
    ) as monitor:
        yield monitor


def test_sessions_that_wait_for_a_run_are_seen(stage: Stage, customers: Holding) -> None:
    locking = f"SELECT FROM {stage.name}.customer WHERE id = 1 FOR UPDATE"
    with (
        ThreadPoolExecutor(1) as threads,
        stage.application() as other,
        stage.application() as ours,  # ends first: nobody waits for it if the test fails
        watched(stage, ours.info.backend_pid) as monitor,
    ):
        assert monitor.decision.what == "go"
        ours.execute(locking)
        waiting = threads.submit(other.execute, locking)
        until(lambda: monitor.decision.what == "less", "it to be seen")
        assert monitor.decision.reason == "1 sessions wait for this run"
        ours.rollback()
        waiting.result(30)
        until(lambda: monitor.decision.what == "go", "it to be over")
    customers.assert_nothing_lost()


def test_sessions_of_other_roles_are_seen_by_a_worker_that_may_do_no_more_than_it_must(
    stage: Stage, customers: Holding, postgres: PostgresServer
) -> None:
    locking = f"SELECT FROM {stage.name}.customer WHERE id = 1 FOR UPDATE"
    with (
        postgres.login(stage.conninfo, "keywright_worker") as worker,
        ThreadPoolExecutor(1) as threads,
        stage.application() as other,
        stage.application() as ours,  # ends first: nobody waits for it if the test fails
        watched(stage, ours.info.backend_pid, worker) as monitor,
    ):
        ours.execute(locking)
        waiting = threads.submit(other.execute, locking)
        until(lambda: monitor.decision.what == "less", "it to be seen")
        ours.rollback()
        waiting.result(30)
    customers.assert_nothing_lost()


def test_the_log_that_is_written_is_seen(stage: Stage) -> None:
    write = "SELECT pg_logical_emit_message(true, 'test', repeat('x', 10000))"
    with watched(stage, 0, wal_bytes_per_second=1) as monitor:
        until(
            lambda: stage.connection.execute(write).rowcount and monitor.decision.what == "wait",
            "it to be seen",
        )
        assert "of WAL are written, and 0 are the limit" in str(monitor.decision.reason)


def test_a_replica_that_is_behind_is_seen_by_who_may_monitor(
    stage: Stage, postgres: PostgresServer
) -> None:
    with (
        postgres.login(stage.conninfo, "pg_read_all_stats") as worker,
        watched(stage, 0, worker, replication_lag_bytes=1) as monitor,
    ):
        assert monitor.decision.what == "go"
        with replica(stage):
            until(lambda: monitor.decision.what == "wait", "it to be seen")
            assert "a replica is " in str(monitor.decision.reason)
        until(lambda: monitor.decision.what == "go", "it to be gone")


def test_a_worker_that_is_not_shown_how_far_replicas_are_behind_says_so_once(
    stage: Stage, postgres: PostgresServer
) -> None:
    with capture_logs() as logged:

        def told() -> list[str]:
            return [each["log_level"] for each in logged if "not waited for" in each["event"]]

        with (
            postgres.login(stage.conninfo, "keywright_worker") as worker,
            watched(stage, 0, worker) as monitor,
            replica(stage),
        ):
            until(told, "the warning")
            monitor.wait_for_news()
            monitor.wait_for_news()
    assert told() == ["warning"]


@contextmanager
def replica(stage: Stage) -> Iterator[None]:
    """Be a replica that has replayed the first byte of the log, and no more."""
    [(position,)] = stage.connection.execute("SELECT pg_current_wal_flush_lsn()").fetchall()
    conninfo = make_conninfo(stage.conninfo, user="postgres", replication="true")
    with closing(psycopg.connect(conninfo, autocommit=True)) as connection:
        connection.pgconn.send_query(f"START_REPLICATION PHYSICAL {position}".encode())
        connection.pgconn.get_result()
        connection.pgconn.put_copy_data(struct.pack("!cQQQQ?", b"r", 1, 1, 1, 0, False))
        connection.pgconn.flush()
        yield
