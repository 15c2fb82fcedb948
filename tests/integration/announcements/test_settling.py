"""The mark that readers do not pass: nothing appears below it afterwards."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.integration.announcements.town_crier import tell, writing
from workers.announcements.reading import announced_after, settled_until
from workers.announcements.settling import Settler
from workers.database.pool import Connection


@pytest.fixture
def other(conninfo: str) -> Iterator[Connection]:
    """A connection in which a transaction is open until it is ended."""
    with writing(conninfo) as connection:
        yield connection


def seen(connection: Connection, after: int = 0) -> list[int]:
    """Return the numbers that a reader is given."""
    return [each.sequence for each in announced_after(connection, after, limit=100)]


def test_what_is_committed_is_seen_once_it_is_settled(connection: Connection, acme: int) -> None:
    tell(connection, acme, "a")
    assert seen(connection) == []
    assert Settler().settle(connection) == 1
    assert seen(connection) == [1]


def test_a_lower_number_that_is_still_under_way_holds_back_a_higher_one(
    connection: Connection, other: Connection, acme: int
) -> None:
    tell(other, acme, "slow")
    tell(connection, acme, "fast")
    settler = Settler()
    assert [settler.settle(connection) for _ in range(3)] == [0, 0, 0]
    assert seen(connection) == []
    other.commit()
    assert settler.settle(connection) == 2
    assert seen(connection) == [1, 2]


def test_a_number_that_was_taken_back_holds_up_nobody(
    connection: Connection, other: Connection, acme: int
) -> None:
    tell(other, acme, "never")
    tell(connection, acme, "fast")
    settler = Settler()
    settler.settle(connection)
    other.rollback()
    settler.settle(connection)
    assert seen(connection) == [2]


def test_who_begins_to_write_later_is_not_waited_for(
    connection: Connection, other: Connection, acme: int, conninfo: str
) -> None:
    tell(other, acme, "first")
    tell(connection, acme, "second")
    settler = Settler()
    settler.settle(connection)
    with writing(conninfo) as later:
        tell(later, acme, "third")
        other.commit()
        assert settler.settle(connection) == 2
        assert seen(connection) == [1, 2]
        later.commit()
    assert settler.settle(connection) == 1
    assert seen(connection, after=2) == [3]


def test_several_at_work_never_move_the_mark_back(connection: Connection, acme: int) -> None:
    tell(connection, acme, "a")
    behind, ahead = Settler(), Settler()
    behind._candidate = 1
    tell(connection, acme, "b")
    ahead.settle(connection)
    behind.settle(connection)
    assert settled_until(connection) == 2


def test_a_reader_that_goes_on_from_its_highest_misses_nothing(
    connection: Connection, conninfo: str, acme: int
) -> None:
    settler, found = Settler(), list[int]()
    writers = [psycopg.connect(conninfo) for _ in range(6)]
    # Each begins before the one before it has ended, and they end in another order.
    for step in ["0", "1", "c1", "2", "c0", "3", "4", "c4", "c2", "5", "c5", "c3"]:
        if step.startswith("c"):
            writers[int(step[1:])].commit()
        else:
            tell(writers[int(step)], acme, f"s{step}")
        settler.settle(connection)
        found += seen(connection, found[-1] if found else 0)
    for writer in writers:
        writer.close()
    while settler.settle(connection):
        pass
    found += seen(connection, found[-1] if found else 0)
    assert found == [1, 2, 3, 4, 5, 6]
