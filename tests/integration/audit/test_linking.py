"""The chain over the record: nobody waits for it, and it finds what was tampered with."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from workers.audit.chain import Head
from workers.audit.exporting import start_hash
from workers.audit.linking import link_some, read_head
from workers.audit.reading import stream_links, unlinked_faults
from workers.audit.verifying import Fault, Verification
from workers.database.pool import Connection


def do(connection: Connection, count: int = 1, name: str = "org") -> None:
    """Do something that is recorded."""
    connection.execute(
        "INSERT INTO keywright.organization (name) SELECT %s || g FROM generate_series(1, %s) AS g",
        [name, count],
    )


def verify(connection: Connection) -> list[Fault]:
    verification = Verification(Head(position=0, hash=start_hash(connection)))
    with stream_links(connection, after=0) as links:
        return [*verification.walk(links), *unlinked_faults(connection)]


@contextmanager
def unguarded(conninfo: str) -> Iterator[Connection]:
    """What somebody has who may do everything: a session without triggers."""
    superuser = make_conninfo(
        conninfo, user="postgres", options="-c session_replication_role=replica"
    )
    with psycopg.connect(superuser, autocommit=True) as connection:
        yield connection


def test_links_are_made_in_batches_and_fit(connection: Connection) -> None:
    do(connection, 25)
    assert [link_some(connection, limit=10) for _ in range(4)] == [10, 10, 5, 0]
    assert read_head(connection).position == 25
    assert verify(connection) == []


def test_many_writers_and_linkers_at_once_make_one_chain(conninfo: str) -> None:
    done = threading.Event()

    def write(writer: int) -> None:
        with psycopg.connect(conninfo, autocommit=True) as own:
            for number in range(25):
                with own.transaction():
                    do(own, 2, f"w{writer}n{number}x")

    def link(_: int) -> None:
        with psycopg.connect(conninfo, autocommit=True) as own:
            while not done.is_set() or link_some(own):
                link_some(own, limit=7)

    with ThreadPoolExecutor(11) as threads:
        linkers = [threads.submit(link, number) for number in range(3)]
        for writer in [threads.submit(write, number) for number in range(8)]:
            writer.result(timeout=60)
        done.set()
        for linker in linkers:
            linker.result(timeout=60)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        while link_some(connection):
            pass
        assert read_head(connection).position == 400
        assert verify(connection) == []


def test_a_transaction_that_stays_open_holds_up_neither_writers_nor_links(
    connection: Connection, conninfo: str
) -> None:
    with psycopg.connect(conninfo) as slow:
        do(slow, name="slow")
        do(connection, name="quick")
        assert link_some(connection) == 1
        slow.commit()
        assert link_some(connection) == 1
    # The slow one's entry has the lower number and the later link.
    rows = connection.execute("SELECT entry_id FROM keywright.audit_link ORDER BY position")
    assert rows.fetchall() == [(2,), (1,)]
    assert verify(connection) == []


TAMPERING = {
    "an altered entry": (
        "UPDATE keywright.audit_entry SET actor = 'operator:eve' WHERE entry_id = 5",
        [(5, 5)],
    ),
    "an altered time": (
        (
            "UPDATE keywright.audit_entry SET occurred_at = occurred_at - '1 us'::interval"
            " WHERE entry_id = 3"
        ),
        [(3, 3)],
    ),
    "a removed entry": ("DELETE FROM keywright.audit_entry WHERE entry_id = 4", [(4, 4)]),
    "a removed link": ("DELETE FROM keywright.audit_link WHERE position = 6", [(6, None)]),
    "a removed entry with its link": (
        (
            "WITH gone AS (DELETE FROM keywright.audit_link WHERE position = 7 RETURNING entry_id)"
            " DELETE FROM keywright.audit_entry USING gone WHERE audit_entry.entry_id = gone.entry_id"
        ),
        [(7, None)],
    ),
    "an altered hash": (
        "UPDATE keywright.audit_link SET hash = decode(repeat('00', 32), 'hex') WHERE position = 2",
        [(2, 2), (3, 3)],
    ),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_tampering_is_found_and_located(connection: Connection, conninfo: str, what: str) -> None:
    statement, places = TAMPERING[what]
    do(connection, 9)
    link_some(connection)
    with unguarded(conninfo) as eve:
        eve.execute(statement)
    found = [(each.position, each.entry_id) for each in verify(connection)]
    assert [place for place in found if place[0] is not None] == places


def test_an_entry_whose_link_was_removed_for_long_is_found(
    connection: Connection, conninfo: str
) -> None:
    do(connection, 3)
    link_some(connection)
    with unguarded(conninfo) as eve:
        eve.execute("DELETE FROM keywright.audit_link WHERE position = 3")
        eve.execute(
            "UPDATE keywright.audit_entry SET occurred_at = now() - interval '2 minutes'"
            " WHERE entry_id = 3"
        )
    [fault] = verify(connection)
    assert str(fault) == "entry 3: it has no link: its link was removed, or no scheduler runs"
