"""A pool of connections, and the translation of what a database says when it is not there."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from workers.database.trouble import trouble_in_words
from workers.errors import InvalidRequestError, TransientError

Connection: TypeAlias = psycopg.Connection[Any]
Pool: TypeAlias = ConnectionPool[Connection]

DATABASE_TROUBLE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    PoolTimeout,
)
"""What a lost, restarting or overloaded database raises; trying again later may help."""

LONGEST_SILENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts, such as ``operator:ada``, through which door, and on behalf of which job."""

    actor: str
    door: str
    job_id: int | None = None


class DatabaseUnavailableError(TransientError):
    """The database cannot be reached, was restarted, or took too long to answer."""

    code = "database-unavailable"
    title = "The database is not available"


def open_pool(
    conninfo: str,
    *,
    size: int,
    name: str,
    index_only: bool = False,
    acting: Acting | None = None,
    longest_silence_seconds: float = LONGEST_SILENCE_SECONDS,
) -> Pool:
    """Open a pool of autocommit connections, filled in the background.

    ``size`` is the number of connections kept; ``name`` is shown in ``pg_stat_activity``. With
    ``index_only``, tables are never read from end to end where an index serves: a prepared
    statement keeps the plan of its first executions, and on a fresh database these see an empty
    table. ``acting`` is who acts through it, where a transaction says nothing else. A transaction
    in which nothing was said for ``longest_silence_seconds`` is ended by the server: a process that
    was frozen in it would keep its locks from everybody.
    """
    return ConnectionPool(
        conninfo,
        min_size=1,
        max_size=size,
        kwargs={"autocommit": True, "application_name": f"keywright {name}"},
        name=f"keywright-{name}",
        configure=partial(
            _configure,
            index_only=index_only,
            acting=acting,
            longest_silence_seconds=longest_silence_seconds,
        ),
        timeout=10,
        open=True,
    )


def _configure(
    connection: Connection,
    *,
    index_only: bool,
    acting: Acting | None,
    longest_silence_seconds: float,
) -> None:
    connection.execute(
        "SELECT set_config('idle_in_transaction_session_timeout', %s, false)",
        [f"{longest_silence_seconds * 1000:.0f}ms"],
    )
    if index_only:
        # Nor are rows sorted where an index has them in order, or small queries compiled.
        connection.execute("SET enable_seqscan = off; SET enable_sort = off; SET jit = off")
    if acting is not None:
        act_as(connection, acting, for_session=True)


def act_as(connection: Connection, acting: Acting, *, for_session: bool = False) -> None:
    """Say who acts: for the transaction at hand, or for all that this connection will do."""
    connection.execute(
        """
        SELECT set_config('keywright.actor', %(actor)s, %(only_now)s),
               set_config('keywright.door', %(door)s, %(only_now)s),
               set_config('keywright.job_id', %(job_id)s, %(only_now)s)
        """,
        {
            "actor": acting.actor,
            "door": acting.door,
            "job_id": "" if acting.job_id is None else str(acting.job_id),
            "only_now": not for_session,
        },
    )


def database_clock(connection: Connection) -> datetime:
    """Return what time it is for the database: the one clock that all processes share."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


def connect(conninfo: str, *, name: str, acting: Acting | None = None) -> Connection:
    """Open one autocommit connection; ``acting`` is who acts through it.

    Raises:
        DatabaseUnavailableError: nothing answers, or it refuses us; the text has no password.
        InvalidRequestError: ``conninfo`` is malformed.
    """
    try:
        connection = psycopg.connect(
            conninfo, autocommit=True, application_name=f"keywright {name}", connect_timeout=10
        )
    except psycopg.ProgrammingError:
        # Its text would repeat the string, and with it the password.
        raise InvalidRequestError(
            "The database URL cannot be read; check KEYWRIGHT_DATABASE_URL."
        ) from None
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(
            trouble_in_words(conninfo, error, variable="KEYWRIGHT_DATABASE_URL")
        ) from error
    if acting is not None:
        act_as(connection, acting, for_session=True)
    return connection
