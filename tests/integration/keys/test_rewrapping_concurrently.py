"""Re-wrapping beside everything else that changes master keys, and beside itself."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.integration.keys.wrapped_keys import (
    Vault,
    destroy,
    file_root_key,
    nothing,
    steps,
    vault,
)
from tests.servers.waiting import until
from workers.database.pool import Connection
from workers.keys.retiring import retire_root_key
from workers.keys.rewrapping import rewrap_all, rewrap_some
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.file import FileRootKey
from workers.keys.states import State
from workers.keys.store import move_key


@pytest.fixture
def old(tmp_path: Path) -> FileRootKey:
    """The root key that everything is wrapped under."""
    return file_root_key(tmp_path, "old")


@pytest.fixture
def new(tmp_path: Path) -> FileRootKey:
    """The root key that takes its place."""
    return file_root_key(tmp_path, "new")


@pytest.fixture
def both(old: FileRootKey, new: FileRootKey) -> RootKeys:
    """What a process knows while one takes the place of the other."""
    return RootKeys(new, [old])


@pytest.fixture
def acme(connection: Connection) -> Vault:
    """An organization without keys."""
    return vault(connection)


def waits_for_a_lock(connection: Connection, application: str) -> bool:
    """Whether a connection of this name waits for another transaction."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE application_name = %s AND wait_event_type = 'Lock')",
        [application],
    ).fetchone()
    assert row is not None
    return bool(row[0])


def test_a_connection_lost_in_the_middle_loses_nothing(
    acme: Vault, old: FileRootKey, both: RootKeys, conninfo: str
) -> None:
    acme.add(old, count=6)
    with psycopg.connect(conninfo, autocommit=True) as connection:

        def kill(done: int, _: int) -> None:
            if done == 4:
                acme.connection.execute(
                    "SELECT pg_terminate_backend(%s)", [connection.info.backend_pid]
                )

        with pytest.raises(psycopg.OperationalError):
            rewrap_all(steps(connection), both, report=kill, stop_if_asked=nothing, batch=2)
    assert len(acme.readable_with(both.current)) == 4
    assert len(acme.readable_with(old)) == 6
    assert rewrap_some(acme.connection, both, limit=100) == 2


def test_two_runs_at_once_share_the_work_and_double_nothing(
    acme: Vault, old: FileRootKey, both: RootKeys, conninfo: str
) -> None:
    acme.add(old, count=60)

    def run(_: int) -> int:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            done = rewrap_all(
                steps(connection), both, report=nothing, stop_if_asked=nothing, batch=4
            )
            done.check_complete()
            return done.wrapped

    with ThreadPoolExecutor(3) as threads:
        assert sum(threads.map(run, range(3))) == 60
    assert len(acme.wraps()) == 120
    assert len(acme.readable_with(both.current)) == 60


def test_keys_that_are_made_meanwhile_under_the_old_root_key_are_not_lost(
    acme: Vault, old: FileRootKey, both: RootKeys, conninfo: str
) -> None:
    acme.add(old, count=20)
    stop = threading.Event()

    def insert() -> Vault:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            other = vault(connection, "Other")
            while not stop.is_set():
                other.add(old)
            return other

    with ThreadPoolExecutor(1) as threads:
        inserted = threads.submit(insert)
        try:
            for _ in range(5):
                rewrap_all(
                    steps(acme.connection), both, report=nothing, stop_if_asked=nothing, batch=3
                )
        finally:
            stop.set()
        other = inserted.result()
    other.connection = acme.connection
    assert len(other.readable_with(old)) == len(other.keys) > 0
    rewrap_all(steps(acme.connection), both, report=nothing, stop_if_asked=nothing).check_complete()
    retire_root_key(acme.connection, old.identifier, current=both.current.identifier)
    for each in (acme, other):
        assert len(each.readable_with(both.current)) == len(each.keys)


def test_a_key_that_is_destroyed_meanwhile_gets_no_wrap(
    acme: Vault, old: FileRootKey, both: RootKeys, conninfo: str
) -> None:
    acme.add(old, count=4)

    def rewrap() -> int:
        with psycopg.connect(conninfo, autocommit=True, application_name="rewrap") as connection:
            return rewrap_some(connection, both, limit=100)

    with psycopg.connect(conninfo) as destroyer, ThreadPoolExecutor(1) as threads:
        destroy(destroyer, acme.organization_id, [2])
        rewrapped = threads.submit(rewrap)
        until(lambda: waits_for_a_lock(acme.connection, "rewrap"), "the run to wait for key 2")
        # It does not wait for the others' sake.
        assert acme.readable_with(both.current) == [1, 3, 4]
        destroyer.commit()
        assert rewrapped.result() == 3
    assert acme.readable_with(both.current) == [1, 3, 4]
    assert 2 not in [number for number, _, _ in acme.wraps()]


def test_a_destruction_that_waits_for_the_wrap_takes_it_along(
    acme: Vault, old: FileRootKey, both: RootKeys, conninfo: str
) -> None:
    acme.add(old, count=2)

    def end() -> None:
        with psycopg.connect(conninfo, autocommit=True, application_name="destroy") as connection:
            move_key(
                connection,
                organization_id=acme.organization_id,
                number=1,
                to=State.DESTROYED,
                actor="alice",
                reason="a test",
            )

    with psycopg.connect(conninfo) as connection, ThreadPoolExecutor(1) as threads:
        assert rewrap_some(connection, both, limit=100) == 2
        destroyed = threads.submit(end)
        until(lambda: waits_for_a_lock(acme.connection, "destroy"), "the destruction to wait")
        connection.commit()
        destroyed.result()
    assert [number for number, _, _ in acme.wraps()] == [2, 2]


def test_a_rotation_that_locks_keys_crosswise_is_not_in_the_way(
    acme: Vault, old: FileRootKey, both: RootKeys, conninfo: str
) -> None:
    acme.add(old, state="active")
    acme.add(old, state="pre_active")

    def rewrap() -> int:
        with psycopg.connect(conninfo, autocommit=True, application_name="rewrap") as connection:
            return rewrap_some(connection, both, limit=100)

    move = (
        "UPDATE keywright.master_key SET state = %s WHERE organization_id = %s AND key_number = 1"
    )
    with psycopg.connect(conninfo) as rotation, ThreadPoolExecutor(1) as threads:
        rotation.execute(
            "SELECT FROM keywright.master_key WHERE organization_id = %s AND key_number = 2"
            " FOR UPDATE",
            [acme.organization_id],
        )
        rewrapped = threads.submit(rewrap)
        until(lambda: waits_for_a_lock(acme.connection, "rewrap"), "the run to wait for key 2")
        rotation.execute("SET LOCAL lock_timeout = '5s'")
        rotation.execute(move, ["archived", acme.organization_id])
        rotation.execute(
            "UPDATE keywright.master_key SET state = 'active'"
            " WHERE organization_id = %s AND key_number = 2",
            [acme.organization_id],
        )
        rotation.commit()
        assert rewrapped.result() == 2
    assert acme.readable_with(both.current) == [1, 2]
