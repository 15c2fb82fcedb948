"""Sealing keys from their making to their end, also while several are at it at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from tests.integration.jobs.workbench import Workbench
from tests.integration.keys.wrapped_keys import file_root_key
from tests.servers.waiting import until
from workers.contract import ReviewMasterKeys, RewrapMasterKeys, RotateSealingKey
from workers.database.pool import Connection
from workers.errors import ConflictError
from workers.jobs.enqueue import enqueue
from workers.keys.handlers import review_master_keys, rewrap_master_keys, rotate_published_key
from workers.keys.retiring import retire_root_key, root_keys_in_use
from workers.keys.root_keys import RootKeys, WrappedKeyError
from workers.keys.root_keys.file import FileRootKey
from workers.keys.sealing_keys import (
    ensure_sealing_key,
    list_sealing_keys,
    load_private_key,
    published_key,
    remove_expired,
    rewrap_sealing_keys,
    rotate_sealing_key,
)


@pytest.fixture
def old(tmp_path: Path) -> FileRootKey:
    """The root key that everything is wrapped under."""
    return file_root_key(tmp_path, "old")


@pytest.fixture
def new(tmp_path: Path) -> FileRootKey:
    """The root key that takes its place."""
    return file_root_key(tmp_path, "new")


def expire(connection: Connection) -> None:
    """Let the time of every key but the published one be over."""
    connection.execute(
        "UPDATE keywright.sealing_key SET opens_until = now() WHERE opens_until IS NOT NULL"
    )


def wraps(connection: Connection) -> int:
    """Return how many wraps there are."""
    row = connection.execute("SELECT count(*) FROM keywright.sealing_key_wrap").fetchone()
    assert row is not None
    return int(row[0])


def in_use(connection: Connection, current: FileRootKey) -> dict[str, tuple[int, int]]:
    """Return how many keys each root key wraps, and how many it wraps alone."""
    rows = root_keys_in_use(connection, current=current.identifier)
    return {each.identifier: (each.wraps, each.only_here) for each in rows}


def test_many_that_need_a_key_at_once_get_the_same(
    connection: Connection, conninfo: str, old: FileRootKey
) -> None:
    def ensure(_: int) -> str:
        with psycopg.connect(conninfo, autocommit=True) as own:
            return ensure_sealing_key(own, RootKeys(old)).sealing_key_id

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(ensure, range(16)))) == 1
    assert len(list_sealing_keys(connection)) == 1


def test_many_that_rotate_the_same_key_at_once_make_one_new(
    connection: Connection, conninfo: str, old: FileRootKey
) -> None:
    first = ensure_sealing_key(connection, RootKeys(old)).sealing_key_id

    def rotate(_: int) -> str:
        with psycopg.connect(conninfo, autocommit=True) as own:
            return rotate_sealing_key(own, RootKeys(old), expected=first).sealing_key_id

    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(rotate, range(16)))
    assert len(made) == 1
    assert first not in made
    assert len(list_sealing_keys(connection)) == 2


def test_many_that_rotate_by_hand_at_once_never_publish_two(
    connection: Connection, conninfo: str, old: FileRootKey
) -> None:
    def rotate(_: int) -> str:
        with psycopg.connect(conninfo, autocommit=True) as own:
            return rotate_sealing_key(own, RootKeys(old)).sealing_key_id

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(rotate, range(16)))) == 16
    assert [each.opens_until for each in list_sealing_keys(connection)].count(None) == 1


def test_the_list_tells_what_opens_until_when_and_what_is_gone(
    connection: Connection, old: FileRootKey
) -> None:
    first = ensure_sealing_key(connection, RootKeys(old))
    second = rotate_sealing_key(connection, RootKeys(old), overlap=timedelta(0))
    third = rotate_sealing_key(connection, RootKeys(old), overlap=timedelta(days=7))
    assert remove_expired(connection) == 1
    listed = list_sealing_keys(connection)
    assert [each.sealing_key_id for each in listed] == [
        each.sealing_key_id for each in (third, second, first)
    ]
    assert [each.opens_until is None for each in listed] == [True, False, False]
    assert [each.gone_at is None for each in listed] == [True, True, False]
    assert [each.root_keys for each in listed] == [[old.identifier], [old.identifier], []]


def test_a_review_removes_what_is_over_and_asks_for_one_rotation_when_due(
    connection: Connection, workbench: Workbench, old: FileRootKey
) -> None:
    rotate_sealing_key(connection, RootKeys(old))
    due = rotate_sealing_key(connection, RootKeys(old))
    expire(connection)
    connection.execute(
        "UPDATE keywright.sealing_key SET created_at = now() - interval '8 days'"
        " WHERE opens_until IS NULL"
    )
    for days, asked in ((9, []), (7, [due.sealing_key_id]), (7, [due.sealing_key_id])):
        request = ReviewMasterKeys(sealing_key_days=days)
        assert workbench.execute(review_master_keys, request).state == "succeeded"
        rows = connection.execute(
            "SELECT arguments ->> 'expected' FROM keywright.job WHERE kind = 'sealing_key.rotate'"
        ).fetchall()
        assert [row[0] for row in rows] == asked
    assert wraps(connection) == 1


def test_a_rotation_that_is_asked_for_twice_is_done_once(
    connection: Connection, workbench: Workbench, old: FileRootKey
) -> None:
    first = ensure_sealing_key(connection, RootKeys(old))
    request = RotateSealingKey(expected=first.sealing_key_id)
    for _ in range(2):
        done = workbench.execute(
            lambda request, job: rotate_published_key(request, job, root_keys=RootKeys(old)),
            request,
        )
        assert done.state == "succeeded", done.problem
    assert len(list_sealing_keys(connection)) == 2
    assert published_key(connection) != first


def test_the_job_that_rewraps_takes_sealing_keys_along(
    connection: Connection, workbench: Workbench, old: FileRootKey, new: FileRootKey
) -> None:
    key = ensure_sealing_key(connection, RootKeys(old))
    both = RootKeys(new, [old])
    done = workbench.execute(
        lambda request, job: rewrap_master_keys(request, job, root_keys=both),
        RewrapMasterKeys(),
        job_id=enqueue(connection, RewrapMasterKeys()).job_id,
    )
    assert (done.state, done.result) == ("succeeded", {"wrapped": 1})
    assert in_use(connection, new) == {old.identifier: (1, 0), new.identifier: (1, 0)}
    assert load_private_key(connection, RootKeys(new), key.sealing_key_id) == load_private_key(
        connection, RootKeys(old), key.sealing_key_id
    )


def test_root_keys_in_use_count_sealing_keys_while_they_open(
    connection: Connection, old: FileRootKey, new: FileRootKey
) -> None:
    ensure_sealing_key(connection, RootKeys(old))
    assert in_use(connection, new) == {old.identifier: (1, 1), new.identifier: (0, 0)}
    rotate_sealing_key(connection, RootKeys(new))
    assert in_use(connection, new) == {old.identifier: (1, 1), new.identifier: (1, 1)}
    expire(connection)
    assert in_use(connection, new)[old.identifier] == (1, 0)


def test_a_root_key_that_a_former_sealing_key_needs_is_retired_once_that_opens_no_more(
    connection: Connection, old: FileRootKey, new: FileRootKey
) -> None:
    ensure_sealing_key(connection, RootKeys(old))
    rotate_sealing_key(connection, RootKeys(new))
    with pytest.raises(ConflictError, match="1 sealing keys are wrapped under"):
        retire_root_key(connection, old.identifier, current=new.identifier)
    assert wraps(connection) == 2
    expire(connection)
    assert rewrap_sealing_keys(connection, RootKeys(new, [old])) == 0
    assert retire_root_key(connection, old.identifier, current=new.identifier) == 1
    assert wraps(connection) == 1


def test_a_sealing_key_that_is_made_while_its_root_key_is_retired_keeps_its_wrap(
    connection: Connection, conninfo: str, old: FileRootKey, new: FileRootKey
) -> None:
    ensure_sealing_key(connection, RootKeys(old))
    rewrap_sealing_keys(connection, RootKeys(new, [old]))
    with psycopg.connect(conninfo) as late, late.transaction():
        # A process that was not told of the new root key yet publishes another.
        made = rotate_sealing_key(late, RootKeys(old))
        assert retire_root_key(connection, old.identifier, current=new.identifier) == 1
    assert load_private_key(connection, RootKeys(old), made.sealing_key_id) is not None


def test_a_wrap_that_is_added_while_a_key_is_removed_goes_with_it(
    connection: Connection, conninfo: str, old: FileRootKey, new: FileRootKey
) -> None:
    ensure_sealing_key(connection, RootKeys(old))
    rotate_sealing_key(connection, RootKeys(new))
    with psycopg.connect(conninfo) as rewrapping, ThreadPoolExecutor(1) as thread:
        assert rewrap_sealing_keys(rewrapping, RootKeys(new, [old])) == 1
        expire_now = thread.submit(_expire_and_remove, conninfo)
        until(lambda: _someone_waits(connection), "the removal to wait")
        rewrapping.commit()
        assert expire_now.result() == 1
    assert [each.root_keys for each in list_sealing_keys(connection)] == [[new.identifier], []]


def _expire_and_remove(conninfo: str) -> int:
    with psycopg.connect(conninfo, autocommit=True) as own:
        expire(own)
        return remove_expired(own)


def _someone_waits(connection: Connection) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')"
    ).fetchone()
    return bool(row and row[0])


def test_a_wrap_that_does_not_open_is_no_trouble_where_another_does(
    connection: Connection, old: FileRootKey, new: FileRootKey
) -> None:
    key = ensure_sealing_key(connection, RootKeys(old))
    rewrap_sealing_keys(connection, RootKeys(new, [old]))
    connection.execute(
        "UPDATE keywright.sealing_key_wrap SET wrapped_key = '\\x00' WHERE root_key = %s",
        [new.identifier],
    )
    assert load_private_key(connection, RootKeys(new, [old]), key.sealing_key_id) is not None
    with pytest.raises(WrappedKeyError):
        load_private_key(connection, RootKeys(new), key.sealing_key_id)


def test_a_wrap_of_another_sealing_key_is_noticed(connection: Connection, old: FileRootKey) -> None:
    first = ensure_sealing_key(connection, RootKeys(old))
    rotate_sealing_key(connection, RootKeys(old))
    connection.execute(
        "UPDATE keywright.sealing_key_wrap AS one SET wrapped_key = another.wrapped_key"
        "  FROM keywright.sealing_key_wrap AS another"
        " WHERE one.sealing_key_id <> another.sealing_key_id"
    )
    with pytest.raises(WrappedKeyError):
        load_private_key(connection, RootKeys(old), first.sealing_key_id)


def test_another_public_key_beside_the_wrap_is_noticed(
    connection: Connection, old: FileRootKey
) -> None:
    key = ensure_sealing_key(connection, RootKeys(old))
    connection.execute("UPDATE keywright.sealing_key SET public_key = %s", [bytes(31) + b"\x09"])
    with pytest.raises(WrappedKeyError, match="is not that key"):
        load_private_key(connection, RootKeys(old), key.sealing_key_id)


def test_no_private_key_stands_anywhere_in_the_clear(
    connection: Connection, old: FileRootKey
) -> None:
    key = ensure_sealing_key(connection, RootKeys(old))
    private_key = load_private_key(connection, RootKeys(old), key.sealing_key_id)
    assert private_key is not None
    [row] = connection.execute(
        "SELECT wrapped_key, to_jsonb(key)::text FROM keywright.sealing_key AS key"
        " JOIN keywright.sealing_key_wrap USING (sealing_key_id)"
    ).fetchall()
    assert private_key.reveal() not in row[0]
    assert private_key.reveal().hex() not in row[1]
    audit = connection.execute("SELECT to_jsonb(a)::text FROM keywright.audit_entry AS a")
    assert not [each for each in audit if private_key.reveal().hex() in each[0]]
