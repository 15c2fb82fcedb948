"""What the database looks like while a run is at work: measured beside it, four times a second."""

import threading
import time
from types import TracebackType
from typing import Any, Self

import psycopg
import structlog

from workers.database.pool import DATABASE_TROUBLE, Connection, Pool
from workers.encryption.connections import Connections
from workers.errors import KeywrightError
from workers.reencryption.pacing import Decision, Limits, Signals, decide
from workers.reencryption.store import say_what_it_waits_for

log = structlog.get_logger(__name__)

PERIOD_SECONDS = 0.25


class Monitor:
    """Runs while its ``with`` block does; ``decision`` and ``run_state`` are its latest news.

    ``connection_name`` is the database at work, ``pid`` the process there that writes for us.
    """

    def __init__(
        self,
        ledger: Pool,
        connections: Connections,
        *,
        run_id: int,
        connection_name: str | None,
        pid: int,
        limits: Limits,
    ) -> None:
        self.decision = Decision("go")
        self.run_state: str | None = None
        self._ledger = ledger
        self._connections = connections
        self._run_id = run_id
        self._connection_name = connection_name
        self._pid = pid
        self._limits = limits
        self._stop = threading.Event()
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reencryption-monitor", daemon=True)
        self._wal: tuple[float, int] | None = None
        self._told_of_hidden = False

    def __enter__(self) -> Self:
        self._thread.start()
        self._news.wait(timeout=10)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def wait_for_news(self) -> None:
        """Return once it has looked again."""
        self._news.clear()
        self._news.wait(timeout=4 * PERIOD_SECONDS)

    def _run(self) -> None:
        connection: Connection | None = None
        while not self._stop.is_set():
            try:
                if connection is None or connection.closed:
                    connection = self._connections.connect(self._connection_name, "monitor")
                self._look(connection)
            except (KeywrightError, *DATABASE_TROUBLE) as error:
                # The writer meets the same trouble and says what is to be said.
                log.debug("the monitor sees nothing", error=type(error).__name__)
            except psycopg.Error as error:
                log.warning("the monitor cannot measure", error=type(error).__name__)
            self._news.set()
            self._stop.wait(PERIOD_SECONDS)
        if connection is not None:
            connection.close()

    def _look(self, connection: Connection) -> None:
        before = self.decision
        self.decision = decide(self._measure(connection), self._limits)
        with self._ledger.connection() as ledger:
            row = ledger.execute(
                "SELECT state::text FROM keywright.reencryption_run WHERE run_id = %(run_id)s",
                {"run_id": self._run_id},
            ).fetchone()
            self.run_state = None if row is None else row[0]
            if self.decision.reason != before.reason:
                say_what_it_waits_for(ledger, self._run_id, self.decision.reason)

    def _measure(self, connection: Connection) -> Signals:
        row: Any = connection.execute(
            """
            SELECT (SELECT count(DISTINCT pid) FROM pg_locks -- which every role sees whole
                     WHERE NOT granted AND %(pid)s = ANY (pg_blocking_pids(pid))),
                   (SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::bigint
                      FROM pg_stat_replication),
                   EXISTS (SELECT FROM pg_stat_replication WHERE state IS NULL),
                   pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint
            """,
            {"pid": self._pid},
        ).fetchone()
        blocked, lag, hidden, written = row
        if hidden and self._limits.replication_lag_bytes is not None and not self._told_of_hidden:
            self._told_of_hidden = True
            log.warning(
                "replicas are not waited for: their lag is not shown to this role",
                connection=self._connection_name,
                remedy="GRANT pg_read_all_stats to it",
            )
        now = time.monotonic()
        rate = None
        if self._wal is not None and now > self._wal[0]:
            rate = (written - self._wal[1]) / (now - self._wal[0])
        self._wal = (now, written)
        return Signals(
            blocked_sessions=blocked, replication_lag_bytes=lag, wal_bytes_per_second=rate
        )
