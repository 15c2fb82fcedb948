"""The write fence: how a run knows that nobody writes under the previous key any more.

Whoever encrypts holds the fence of the organization, shared, in the database that holds the field
and until the transaction ends, and reads the active key and the field's state only after that.
Raising the fence waits for those who hold it at that moment. Who takes it later sees what was
committed before, so nobody has to be kept waiting meanwhile.
"""

import time

from psycopg.pq import TransactionStatus

from workers.database.pool import Connection
from workers.errors import InvalidRequestError, TransientError

LOCK_CLASS = 0x6B776663  # any number that nothing else locks: "kwfc"

_FIRST_PAUSE_SECONDS = 0.005
_LONGEST_PAUSE_SECONDS = 0.25


class FenceTimeoutError(TransientError):
    """Transactions that may write under the previous key have not ended in time."""

    code = "fence-timeout"
    title = "Transactions with encrypted writes are still open"


class NoTransactionError(InvalidRequestError):
    """Nothing would hold the fence: the connection is in no transaction, or in a failed one."""

    code = "no-transaction"
    title = "Encrypting needs a transaction"


def hold_fence(connection: Connection, organization_id: int) -> None:
    """Hold the organization's fence until the transaction of ``connection`` ends.

    ``connection`` leads to the database that holds the fields and is the one that writes them.

    Raises:
        NoTransactionError: there is no transaction that would hold it.
    """
    status = connection.info.transaction_status
    if connection.autocommit and status == TransactionStatus.IDLE:
        raise NoTransactionError(
            "The connection commits every statement by itself, so nothing would hold the write"
            " fence; put `with connection.transaction():` around encrypting and writing."
        )
    if status == TransactionStatus.INERROR:
        raise NoTransactionError(
            "The transaction has failed already, so nothing it writes will stay; roll it back and"
            " begin again."
        )
    connection.execute(
        "SELECT pg_advisory_xact_lock_shared(%s, %s)", [LOCK_CLASS, _lock_key(organization_id)]
    )


def raise_fence(
    connection: Connection, organization_id: int | None, *, timeout_seconds: float
) -> None:
    """Wait until every transaction has ended that held the fence when we came.

    ``organization_id`` None: everybody's fences, for what concerns several organizations.
    What is to be seen by all who encrypt from now on (another active key, another state of a field)
    must have been committed before. ``connection`` commits by itself.

    Raises:
        FenceTimeoutError: some have not ended in time; the text names their processes.
    """
    deadline = time.monotonic() + timeout_seconds
    pause = _FIRST_PAUSE_SECONDS
    ahead = set(_holders(connection, organization_id))
    while ahead:
        if time.monotonic() >= deadline:
            pids = sorted({pid for _, pid in ahead if pid is not None})
            prepared = len([pid for _, pid in ahead if pid is None])
            raise FenceTimeoutError(
                f"Waited {timeout_seconds:g} s for transactions that may still write under the"
                f" previous key: {_in_words(pids, prepared)} of the database"
                f" “{connection.info.dbname}”; let them end, or end them with"
                " pg_terminate_backend."
            )
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        # A transaction that is prepared for two-phase commit changes its name and keeps its locks:
        # any such may be one of ours.
        ahead = {
            holder
            for holder in _holders(connection, organization_id)
            if holder in ahead or holder[1] is None
        }


def _holders(connection: Connection, organization_id: int | None) -> list[tuple[str, int | None]]:
    """Return who holds the fence: virtual transaction and process; None: prepared, without one."""
    return connection.execute(
        """
        SELECT virtualtransaction, pid
          FROM pg_locks
         WHERE locktype = 'advisory' AND granted AND objsubid = 2
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND classid = %(lock_class)s::bigint::oid
           AND (%(lock_key)s::bigint IS NULL OR objid = %(lock_key)s::bigint::oid)
        """,
        {
            "lock_class": LOCK_CLASS,
            "lock_key": None if organization_id is None else _lock_key(organization_id),
        },
    ).fetchall()


def _in_words(pids: list[int], prepared: int) -> str:
    words = []
    if pids:
        words.append(f"process {', '.join(map(str, pids))}")
    if prepared:
        words.append(f"{prepared} prepared (pg_prepared_xacts)")
    return " and ".join(words)


def _lock_key(organization_id: int) -> int:
    # Two organizations that share a lock only wait for each other now and then.
    return organization_id & 0x7FFFFFFF
