"""What tests on the record do again and again."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import make_conninfo

from workers.audit.exporting import start_of
from workers.audit.linking import link_what_waits, read_head
from workers.audit.reading import stream_links, unlinked_faults
from workers.audit.verifying import Fault, Verification
from workers.database.pool import Connection


def do(connection: Connection, count: int = 1, name: str = "org") -> None:
    """Do something that is recorded, so many times."""
    connection.execute(
        "INSERT INTO keywright.organization (name) SELECT %s || g FROM generate_series(1, %s) AS g",
        [name, count],
    )


def link_the_beginning(connection: Connection) -> int:
    """Link what making the database has recorded; return at which position the chain is."""
    link_what_waits(connection)
    return read_head(connection).position


def verify(connection: Connection) -> list[Fault]:
    """Verify the whole record."""
    verification = Verification(start_of(connection, 1))
    with stream_links(connection, after=0) as links:
        return verification.find(verification.walk(links), unlinked_faults(connection)).faults


@contextmanager
def unguarded(conninfo: str) -> Iterator[Connection]:
    """What somebody has who may do everything: a session without triggers."""
    superuser = make_conninfo(
        conninfo, user="postgres", options="-c session_replication_role=replica"
    )
    with psycopg.connect(superuser, autocommit=True) as connection:
        yield connection
