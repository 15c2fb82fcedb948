"""Up to which number every announcement is there: the mark that readers do not pass. SQL only.

Numbers are drawn while transactions are under way, and a higher one may be committed before a
lower one: a reader who goes on after the highest that it saw would miss the lower. So a number
counts only once each transaction that could hold it, or a lower one, has ended: those that had the
table locked for writing when the number was seen. Nobody who writes waits for anybody.
"""

import time
from collections.abc import Callable

import structlog

from workers.database.pool import Connection, Pool

log = structlog.get_logger(__name__)

_TOO_LONG_SECONDS = 60
_PATIENCE_SECONDS = 2.0
_PAUSE_SECONDS = 0.02


class Settler:
    """Moves the mark. Any number of them may be at work; each remembers what it waits for."""

    def __init__(self) -> None:
        self._settled = 0
        self._candidate: int | None = None
        self._writers: set[str] = set()
        self._waits_since = 0.0
        self._said_so = False

    def settle(self, connection: Connection) -> int:
        """Move the mark as far as it goes now; return by how many numbers.

        ``connection`` must be in autocommit mode and in no transaction: each statement has to see
        what was committed before it.
        """
        if self._candidate is None:
            self._candidate = self._look_for_more(connection)
            if self._candidate is None:
                return 0
            # Looked for after the number was seen: whoever draws later draws a higher one.
            self._writers = _writers(connection)
            self._waits_since = time.monotonic()
        elif self._writers:
            self._writers &= _writers(connection)
        if self._writers:
            self._complain()
            return 0
        moved = self._candidate - self._settled
        _move(connection, self._candidate)
        self._settled, self._candidate, self._said_so = self._candidate, None, False
        return moved

    def settle_patiently(self, connection: Connection) -> None:
        """Move the mark over all there is now, or as far as it goes within two seconds."""
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while not self.settle(connection) and self._candidate is not None:
            if time.monotonic() > give_up_at:
                return
            time.sleep(_PAUSE_SECONDS)

    def _look_for_more(self, connection: Connection) -> int | None:
        row = connection.execute(
            "SELECT max(announcement_id) FROM keywright.announcement"
        ).fetchone()
        highest = None if row is None else row[0]
        return None if highest is None or highest <= self._settled else int(highest)

    def _complain(self) -> None:
        if not self._said_so and time.monotonic() - self._waits_since > _TOO_LONG_SECONDS:
            self._said_so = True
            log.warning(
                "announcements wait for transactions that do not end",
                transactions=sorted(self._writers),
            )


def settle_step(pool: Pool) -> Callable[[], int]:
    """Return the step that moves the mark, for a loop of the scheduler."""
    settler = Settler()

    def step() -> int:
        with pool.connection() as connection:
            return settler.settle(connection)

    return step


def _writers(connection: Connection) -> set[str]:
    """Return the transactions, others than ours, that have the table locked for writing."""
    rows = connection.execute(
        """
        SELECT virtualtransaction FROM pg_locks
         WHERE locktype = 'relation' AND relation = 'keywright.announcement'::regclass
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND mode = 'RowExclusiveLock' AND granted AND pid IS DISTINCT FROM pg_backend_pid()
        """
    ).fetchall()
    return {row[0] for row in rows}


def _move(connection: Connection, settled: int) -> None:
    connection.execute(
        "UPDATE keywright.announcement_mark SET settled = %(settled)s WHERE settled < %(settled)s",
        {"settled": settled},
    )
