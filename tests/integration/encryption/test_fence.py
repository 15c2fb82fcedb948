"""The write fence: what it waits for, what it does not keep waiting, and that it holds."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import IsolationLevel

from tests.integration.encryption.shop import FIELD, Shop
from tests.servers.waiting import until
from workers.database.pool import Connection
from workers.encryption.ciphertext import parse
from workers.encryption.fence import FenceTimeoutError, hold_fence, raise_fence

LEVELS = [
    IsolationLevel.READ_COMMITTED,
    IsolationLevel.REPEATABLE_READ,
    IsolationLevel.SERIALIZABLE,
]


@contextmanager
def raising(shop: Shop, tenant: int) -> Iterator["Future[None]"]:
    """Raise the fence in another thread, and yield when it is being waited for, or through."""
    begun = threading.Event()

    def work() -> None:
        with psycopg.connect(shop.conninfo, autocommit=True) as connection:
            begun.set()
            raise_fence(connection, tenant, timeout_seconds=60)

    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(work)
        begun.wait(30)
        yield future
        future.result(60)


def has_looked(shop: Shop) -> bool:
    """Whether somebody has looked for the holders of the fence."""
    row = shop.connection.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE query LIKE '%%virtualtransaction%%' AND pid <> pg_backend_pid() AND state = 'idle'"
    ).fetchone()
    return row is not None and row[0] > 0


def test_nobody_writing_is_nobody_to_wait_for(shop: Shop) -> None:
    raise_fence(shop.connection, shop.acme, timeout_seconds=0)


def test_the_fence_waits_for_a_transaction_that_holds_it(shop: Shop) -> None:
    with shop.application() as writer:
        hold_fence(writer, shop.acme)
        with raising(shop, shop.acme) as raised:
            until(lambda: has_looked(shop), "the fence to be waited for")
            assert not raised.done()
            writer.commit()
            raised.result(30)


def test_a_transaction_that_begins_later_is_neither_waited_for_nor_kept_waiting(
    shop: Shop,
) -> None:
    with shop.application() as early, shop.application() as late:
        hold_fence(early, shop.acme)
        with raising(shop, shop.acme) as raised:
            until(lambda: has_looked(shop), "the fence to be waited for")
            late.execute("SET lock_timeout = '1s'")
            hold_fence(late, shop.acme)  # at once
            early.rollback()
            raised.result(30)  # and the late one is still at it
        late.rollback()


def test_the_fence_of_another_organization_does_not_matter(shop: Shop) -> None:
    with shop.application() as writer:
        hold_fence(writer, shop.globex)
        raise_fence(shop.connection, shop.acme, timeout_seconds=0)
        writer.rollback()


def test_everybodys_fences_can_be_waited_for_together(shop: Shop) -> None:
    with shop.application() as writer:
        hold_fence(writer, shop.globex)
        with pytest.raises(FenceTimeoutError):
            raise_fence(shop.connection, None, timeout_seconds=0)
        writer.rollback()
    raise_fence(shop.connection, None, timeout_seconds=0)


def test_the_fence_is_of_one_database(shop: Shop, other_database: str) -> None:
    with shop.application(other_database) as writer:
        hold_fence(writer, shop.acme)
        raise_fence(shop.connection, shop.acme, timeout_seconds=0)
        with (
            psycopg.connect(other_database, autocommit=True) as there,
            pytest.raises(FenceTimeoutError),
        ):
            raise_fence(there, shop.acme, timeout_seconds=0)
        writer.rollback()


def test_who_is_in_the_way_too_long_is_named(shop: Shop) -> None:
    with shop.application() as writer:
        hold_fence(writer, shop.acme)
        with pytest.raises(FenceTimeoutError) as refusal:
            raise_fence(shop.connection, shop.acme, timeout_seconds=0.05)
        assert "Waited 0.05 s" in str(refusal.value)
        assert f"process {writer.info.backend_pid} " in str(refusal.value)
        writer.rollback()


def test_a_rolled_back_savepoint_gives_the_fence_back(shop: Shop) -> None:
    with shop.application() as writer:
        writer.execute("SELECT 1")
        with writer.transaction(force_rollback=True):
            hold_fence(writer, shop.acme)
        raise_fence(shop.connection, shop.acme, timeout_seconds=0)
        writer.rollback()


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)
def test_a_transaction_with_an_older_snapshot_still_writes_under_the_new_key(
    shop: Shop, level: IsolationLevel
) -> None:
    shop.make_table()
    shop.register(organization_id=shop.acme)
    with shop.application() as connection:
        connection.isolation_level = level
        connection.execute("SELECT count(*) FROM keywright.master_key")  # takes the snapshot
        assert shop.rotate() == 2
        with shop.cipher.writing(connection, organization_id=shop.acme) as writer:
            value = writer.encrypt(FIELD, row=(1,), value=b"secret")
    assert isinstance(value, bytes)
    assert parse(value).key_number == 2


def test_after_the_fence_no_transaction_writes_under_the_former_key(shop: Shop) -> None:
    """Writers at full speed, rotations in between: what is open after a fence has the new key."""
    shop.make_table()
    shop.register(organization_id=shop.acme)
    stop = threading.Event()

    def write(first: int) -> int:
        written = 0
        with psycopg.connect(shop.conninfo) as connection:
            while not stop.is_set():
                row = (first + written * 10,)
                with shop.cipher.writing(connection, organization_id=shop.acme) as writer:
                    value = writer.encrypt(FIELD, row=row, value=b"secret")
                connection.execute(
                    "INSERT INTO customer (id, tenant_id, card) VALUES (%s, %s, %s)",
                    [*row, shop.acme, value],
                )
                connection.commit()
                written += 1
        return written

    with ThreadPoolExecutor(3) as threads:
        writers = [threads.submit(write, first) for first in range(3)]
        try:
            until(lambda: count(shop.connection) > 0, "the first write")
            for _ in range(5):
                number = shop.rotate()
                raise_fence(shop.connection, shop.acme, timeout_seconds=30)
                before = count(shop.connection, below=number)
                enough = count(shop.connection) + 10
                until(lambda enough=enough: count(shop.connection) > enough, "more writes")  # type: ignore[misc]
                assert count(shop.connection, below=number) == before
        finally:
            stop.set()
        assert sum(writer.result(30) for writer in writers) == count(shop.connection)


def count(connection: Connection, *, below: int | None = None) -> int:
    """Count the rows, or those whose value is under a key before ``below``."""
    row = connection.execute(
        "SELECT count(*) FROM customer WHERE %(below)s::bytea IS NULL"
        " OR substring(card FROM 3 FOR 4) < %(below)s",
        {"below": None if below is None else below.to_bytes(4, "big")},
    ).fetchone()
    assert row is not None
    return int(row[0])
