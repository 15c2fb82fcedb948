"""A pool of connections, and the translation of what a database says when it is not there."""

from datetime import datetime
from typing import Any, TypeAlias

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from workers.errors import InvalidRequestError, TransientError

Connection: TypeAlias = psycopg.Connection[Any]
Pool: TypeAlias = ConnectionPool[Connection]

DATABASE_TROUBLE = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)
"""What a lost, restarting or overloaded database raises; trying again later may help."""


class DatabaseUnavailableError(TransientError):
    """The database cannot be reached, was restarted, or took too long to answer."""

    code = "database-unavailable"
    title = "The database is not available"


def open_pool(conninfo: str, *, size: int, name: str, index_only: bool = False) -> Pool:
    """Open a pool of autocommit connections, filled in the background.

    ``size`` is the number of connections kept; ``name`` is shown in ``pg_stat_activity``. With
    ``index_only``, tables are never read from end to end where an index serves: a prepared
    statement keeps the plan of its first executions, and on a fresh database these see an empty
    table.
    """
    return ConnectionPool(
        conninfo,
        min_size=1,
        max_size=size,
        kwargs={"autocommit": True, "application_name": f"keywright {name}"},
        name=f"keywright-{name}",
        configure=_prefer_indexes if index_only else None,
        timeout=10,
        open=True,
    )


def _prefer_indexes(connection: Connection) -> None:
    connection.execute("SET enable_seqscan = off")


def database_clock(connection: Connection) -> datetime:
    """Return what time it is for the database: the one clock that all processes share."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


def connect(conninfo: str, *, name: str) -> Connection:
    """Open one autocommit connection.

    Raises:
        DatabaseUnavailableError: nothing answers, or it refuses us; the text has no password.
        InvalidRequestError: ``conninfo`` is malformed.
    """
    try:
        return psycopg.connect(
            conninfo, autocommit=True, application_name=f"keywright {name}", connect_timeout=10
        )
    except psycopg.ProgrammingError:
        # Its text would repeat the string, and with it the password.
        raise InvalidRequestError(
            "The database URL cannot be read; check KEYWRIGHT_DATABASE_URL."
        ) from None
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise DatabaseUnavailableError(
            f"Cannot connect to the database ({reason}); check KEYWRIGHT_DATABASE_URL."
        ) from error
