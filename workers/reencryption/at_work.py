"""Who is writing what it has read: workers of a run, for which the next one waits. SQL only.

A worker may fall asleep between reading and writing, for longer than its lease. Compare-and-swap
does not notice when it wakes up in a later run: a value under the active key looks the same before
a cancelled decryption and after a finished encryption. So while it has something in hand, a worker
holds a lock in the database that it writes to, and looks only then whether its run still wants it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from workers.database.pool import Connection
from workers.encryption.fence import FenceTimeoutError

LOCK_CLASS = 0x6B776677  # any number that nothing else locks: "kwfw"

_PAUSE_SECONDS = 0.02


@contextmanager
def at_work(connection: Connection, organization_id: int) -> Iterator[None]:
    """Be seen to be writing in the database of ``connection``, as long as the block lasts."""
    place = [LOCK_CLASS, _lock_key(organization_id)]
    connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", place)
    try:
        yield
    finally:
        if not connection.closed:  # else the server has let go of it
            connection.execute("SELECT pg_advisory_unlock_shared(%s, %s)", place)


def wait_for_workers(
    connection: Connection, organization_id: int, *, timeout_seconds: float
) -> None:
    """Return once no worker has anything in hand that it read before.

    What keeps workers from beginning must have been committed before: the state of their run.

    Raises:
        FenceTimeoutError: some have not ended in time; the text names their processes.
    """
    deadline = time.monotonic() + timeout_seconds
    ahead = _holders(connection, organization_id)
    while ahead:
        if time.monotonic() >= deadline:
            raise FenceTimeoutError(
                f"Waited {timeout_seconds:g} s for workers of an earlier run: process"
                f" {', '.join(map(str, sorted(ahead)))} of the database"
                f" “{connection.info.dbname}”; let them end, or end them with"
                " pg_terminate_backend."
            )
        time.sleep(_PAUSE_SECONDS)
        ahead &= _holders(connection, organization_id)


def _holders(connection: Connection, organization_id: int) -> set[int]:
    rows = connection.execute(
        """
        SELECT pid FROM pg_locks
         WHERE locktype = 'advisory' AND granted AND objsubid = 2
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND classid = %(lock_class)s::bigint::oid AND objid = %(lock_key)s::bigint::oid
        """,
        {"lock_class": LOCK_CLASS, "lock_key": _lock_key(organization_id)},
    ).fetchall()
    return {row[0] for row in rows}


def _lock_key(organization_id: int) -> int:
    return organization_id & 0x7FFFFFFF
