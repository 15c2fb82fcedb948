"""The chain over the record: nobody waits for it, and it finds what was tampered with."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from scheduler.service import SchedulerService
from tests.integration.audit.record import do, link_the_beginning, unguarded, verify
from tests.servers.postgres import PostgresServer
from tests.servers.waiting import until
from workers.audit.linking import link_some, link_what_waits, read_head
from workers.database.pool import Connection


def test_links_are_made_in_batches_and_fit(connection: Connection) -> None:
    before = link_the_beginning(connection)
    do(connection, 25)
    assert [link_some(connection, limit=10) for _ in range(4)] == [10, 10, 5, 0]
    assert read_head(connection).position == before + 25
    assert verify(connection) == []


def test_making_the_database_is_the_first_entry(connection: Connection) -> None:
    rows = connection.execute(
        "SELECT action FROM keywright.audit_entry ORDER BY entry_id"
    ).fetchall()
    assert rows == [("database.create",), ("database.grant",)]


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

    with psycopg.connect(conninfo, autocommit=True) as connection:
        before = link_the_beginning(connection)
    with ThreadPoolExecutor(11) as threads:
        linkers = [threads.submit(link, number) for number in range(3)]
        try:
            for writer in [threads.submit(write, number) for number in range(8)]:
                writer.result(timeout=60)
        finally:
            done.set()
        for linker in linkers:
            linker.result(timeout=60)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        link_what_waits(connection)
        assert read_head(connection).position == before + 400
        assert verify(connection) == []


def test_a_transaction_that_stays_open_holds_up_neither_writers_nor_links(
    connection: Connection, conninfo: str
) -> None:
    before = link_the_beginning(connection)
    with psycopg.connect(conninfo) as slow:
        do(slow, name="slow")
        do(connection, name="quick")
        assert link_some(connection) == 1
        slow.commit()
        assert link_some(connection) == 1
    # The slow one's entry has the lower number and the later link.
    rows = connection.execute(
        "SELECT after ->> 'name' FROM keywright.audit_link JOIN keywright.audit_entry"
        " USING (entry_id) WHERE position > %s ORDER BY position",
        [before],
    )
    assert [row[0] for row in rows] == ["quick1", "slow1"]
    assert verify(connection) == []


def test_a_linker_that_is_at_work_holds_up_no_writer(connection: Connection, conninfo: str) -> None:
    do(connection, 3)
    with psycopg.connect(conninfo, autocommit=True) as linker, linker.transaction():
        assert link_some(linker) >= 3
        # Its transaction is still open: others write, and leave the linking to it.
        connection.execute("SET lock_timeout = '1s'")
        do(connection, 3, name="meanwhile")
        assert link_some(connection) == 0
    assert link_some(connection) == 3
    assert verify(connection) == []


def test_a_scheduler_may_link_and_a_reader_may_look(
    connection: Connection, conninfo: str, postgres: PostgresServer
) -> None:
    do(connection, 3)
    with (
        postgres.login(conninfo, "keywright_reader") as login,
        psycopg.connect(login, autocommit=True) as reader,
    ):
        link_what_waits(reader)
        assert read_head(reader).position == 0
    with (
        postgres.login(conninfo, "keywright_scheduler") as login,
        psycopg.connect(login, autocommit=True) as scheduler,
    ):
        link_what_waits(scheduler)
        assert verify(scheduler) == []
        assert read_head(scheduler).position >= 3


@pytest.mark.parametrize(
    "value",
    ["0.1", "-1.50", "1e300", f"{10**17}", f"{10**40}", "1" + "0" * 5000, "true", "null"],
    ids=lambda value: value[:20],
)
def test_whatever_stands_in_an_entry_it_can_be_linked_and_verified(
    connection: Connection, value: str
) -> None:
    connection.execute(
        "SELECT keywright.audit('a.b', E'c/\\u2028\\U0001F511', after => %s)",
        [f'{{"{value[:9]}": [{value}]}}'],
    )
    link_what_waits(connection)
    assert verify(connection) == []


def test_an_entry_has_a_time_that_can_be_read(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="entries_have_a_time"):
        connection.execute(
            "INSERT INTO keywright.audit_entry (action, object, occurred_at)"
            " VALUES ('a.b', 'c', 'infinity')"
        )


TAMPERING = {
    "an altered entry": (
        "UPDATE keywright.audit_entry SET actor = 'operator:eve' WHERE entry_id = %(entry)s",
        [(5, True)],
    ),
    "an altered time": (
        (
            "UPDATE keywright.audit_entry SET occurred_at = occurred_at - '1 us'::interval"
            " WHERE entry_id = %(entry)s"
        ),
        [(5, True)],
    ),
    "an altered value": (
        (
            """UPDATE keywright.audit_entry SET after = after || '{"sending_hour": 8.0}'"""
            " WHERE entry_id = %(entry)s"
        ),
        [(5, True)],
    ),
    "a removed entry": (
        "DELETE FROM keywright.audit_entry WHERE entry_id = %(entry)s",
        [(5, True)],
    ),
    "a removed link": (
        "DELETE FROM keywright.audit_link WHERE position = %(position)s",
        [(5, False)],
    ),
    "a removed entry with its link": (
        (
            "WITH gone AS (DELETE FROM keywright.audit_link WHERE position = %(position)s"
            " RETURNING entry_id)"
            " DELETE FROM keywright.audit_entry AS entry USING gone"
            " WHERE entry.entry_id = gone.entry_id"
        ),
        [(5, False)],
    ),
    "an altered hash": (
        (
            "UPDATE keywright.audit_link SET hash = decode(repeat('00', 32), 'hex')"
            " WHERE position = %(position)s"
        ),
        [(5, True), (6, True)],
    ),
    "an entry that takes the place of another": (
        (
            "UPDATE keywright.audit_link SET entry_id = 0 WHERE position = %(position)s;"
            "UPDATE keywright.audit_link SET entry_id = %(entry)s"
            " WHERE position = %(position)s + 2;"
            "UPDATE keywright.audit_link SET entry_id = %(entry)s + 2 WHERE position = %(position)s"
        ),
        [(5, True), (7, True)],
    ),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_tampering_is_found_and_located(connection: Connection, conninfo: str, what: str) -> None:
    statements, places = TAMPERING[what]
    before = link_the_beginning(connection)
    do(connection, 9)
    link_some(connection)
    row = connection.execute(
        "SELECT entry_id FROM keywright.audit_link WHERE position = %s", [before + 5]
    ).fetchone()
    assert row is not None
    with unguarded(conninfo) as eve:
        for statement in statements.split(";"):
            eve.execute(statement, {"position": before + 5, "entry": row[0]})
    found = [(each.position, each.entry_id is not None) for each in verify(connection)]
    assert found == [(before + position, has_entry) for position, has_entry in places]


def test_links_that_were_moved_up_to_hide_a_gap_do_not_fit(
    connection: Connection, conninfo: str
) -> None:
    before = link_the_beginning(connection)
    do(connection, 9)
    link_some(connection)
    with unguarded(conninfo) as eve:
        eve.execute("DELETE FROM keywright.audit_link WHERE position = %s", [before + 5])
        for position in range(before + 6, before + 10):
            eve.execute(
                "UPDATE keywright.audit_link SET position = position - 1 WHERE position = %s",
                [position],
            )
    assert {each.position for each in verify(connection)} == set(range(before + 5, before + 9))


@pytest.mark.parametrize("what", ["a link", "the note that it has none"])
def test_an_entry_without_a_link_for_long_is_found(
    connection: Connection, conninfo: str, what: str
) -> None:
    link_the_beginning(connection)
    do(connection, 1)
    if what == "a link":
        link_some(connection)
    with unguarded(conninfo) as eve:
        eve.execute(
            "DELETE FROM keywright.audit_link WHERE position ="
            " (SELECT max(position) FROM keywright.audit_link)"
            if what == "a link"
            else "DELETE FROM keywright.audit_unlinked"
        )
        eve.execute(
            "UPDATE keywright.audit_entry SET occurred_at = now() - interval '2 minutes'"
            " WHERE action = 'organization.create'"
        )
    [fault] = [each for each in verify(connection) if each.position is None]
    assert "it has no link: its link was removed, or no scheduler runs" in str(fault)


def test_a_scheduler_links_what_is_recorded(connection: Connection, conninfo: str) -> None:
    do(connection, 3)
    with SchedulerService(conninfo, None, timetable=()):
        until(lambda: read_head(connection).position >= 3, "the scheduler to link")
    assert verify(connection) == []
