"""A root key is retired only when no key needs it any more."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.integration.keys.wrapped_keys import Vault, destroy, file_root_key, vault
from workers.database.pool import Connection
from workers.errors import ConflictError, NotFoundError
from workers.keys.retiring import RootKeyInUse, retire_root_key, root_keys_in_use
from workers.keys.rewrapping import rewrap_some
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.file import FileRootKey


@pytest.fixture
def old(tmp_path: Path) -> FileRootKey:
    """The root key that everything is wrapped under."""
    return file_root_key(tmp_path, "old")


@pytest.fixture
def new(tmp_path: Path) -> FileRootKey:
    """The root key that takes its place."""
    return file_root_key(tmp_path, "new")


@pytest.fixture
def acme(connection: Connection) -> Vault:
    """An organization without keys."""
    return vault(connection)


def in_use(acme: Vault, current: FileRootKey) -> dict[str, tuple[int, int, bool]]:
    """Return the counts by root key."""
    return {
        each.identifier: (each.wraps, each.only_here, each.is_current)
        for each in root_keys_in_use(acme.connection, current=current.identifier)
    }


def test_root_keys_in_use_are_counted(acme: Vault, old: FileRootKey, new: FileRootKey) -> None:
    assert root_keys_in_use(acme.connection, current=new.identifier) == [
        RootKeyInUse(identifier=new.identifier, wraps=0, only_here=0, is_current=True)
    ]
    acme.add(old, count=3)
    acme.add(new)
    assert in_use(acme, new) == {old.identifier: (3, 3, False), new.identifier: (1, 1, True)}
    rewrap_some(acme.connection, RootKeys(new, [old]), limit=2)
    assert in_use(acme, new) == {old.identifier: (3, 1, False), new.identifier: (3, 1, True)}


def test_a_wrap_of_a_destroyed_key_needs_nothing(
    acme: Vault, old: FileRootKey, new: FileRootKey
) -> None:
    acme.add(old, state="destroyed")
    assert in_use(acme, new)[old.identifier] == (1, 0, False)
    assert retire_root_key(acme.connection, old.identifier, current=new.identifier) == 1
    assert acme.wraps() == []


def test_the_root_key_in_use_is_not_retired(
    acme: Vault, old: FileRootKey, new: FileRootKey
) -> None:
    acme.add(old)
    rewrap_some(acme.connection, RootKeys(new, [old]), limit=1)
    with pytest.raises(ConflictError, match="is the root key in use"):
        retire_root_key(acme.connection, new.identifier, current=new.identifier)
    assert len(acme.wraps()) == 2


@pytest.mark.parametrize("state", ["pre_active", "active", "suspended", "archived", "compromised"])
def test_a_root_key_that_one_key_needs_is_not_retired_and_keeps_all_its_wraps(
    acme: Vault, old: FileRootKey, new: FileRootKey, state: str
) -> None:
    acme.add(old, count=3)
    rewrap_some(acme.connection, RootKeys(new, [old]), limit=3)
    acme.add(old, state=state)
    before = acme.wraps()
    with pytest.raises(ConflictError, match=f"1 master keys are wrapped under {old.identifier}"):
        retire_root_key(acme.connection, old.identifier, current=new.identifier)
    assert acme.wraps() == before


def test_what_wraps_nothing_is_not_retired(acme: Vault, old: FileRootKey, new: FileRootKey) -> None:
    acme.add(new)
    with pytest.raises(NotFoundError, match=f"Nothing is wrapped under {old.identifier}"):
        retire_root_key(acme.connection, old.identifier, current=new.identifier)


def test_all_wraps_go_once_every_key_has_another(
    acme: Vault, old: FileRootKey, new: FileRootKey
) -> None:
    acme.add(old, count=4)
    destroy(acme.connection, acme.organization_id, [2])
    rewrap_some(acme.connection, RootKeys(new, [old]), limit=10)
    assert retire_root_key(acme.connection, old.identifier, current=new.identifier) == 3
    assert acme.readable_with(new) == [1, 3, 4]
    assert in_use(acme, new) == {new.identifier: (3, 3, True)}


def test_two_that_are_retired_at_once_do_not_leave_the_keys_to_each_other(
    acme: Vault, old: FileRootKey, new: FileRootKey, conninfo: str, tmp_path: Path
) -> None:
    other = file_root_key(tmp_path, "other")
    acme.add(old, count=20)

    def retire(pair: tuple[FileRootKey, FileRootKey]) -> bool:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            try:
                retire_root_key(connection, pair[0].identifier, current=pair[1].identifier)
            except ConflictError:
                return False
            return True

    for _ in range(10):
        rewrap_some(acme.connection, RootKeys(new, [old, other]), limit=100)
        rewrap_some(acme.connection, RootKeys(old, [new, other]), limit=100)
        with ThreadPoolExecutor(2) as threads:
            retired = list(threads.map(retire, [(old, new), (new, old)]))
        assert sorted(retired) == [False, True]
        assert len(acme.readable(RootKeys(new, [old]))) == 20


def test_a_wrap_that_is_added_meanwhile_stays(
    acme: Vault, old: FileRootKey, new: FileRootKey, conninfo: str
) -> None:
    acme.add(old, count=2)
    rewrap_some(acme.connection, RootKeys(new, [old]), limit=100)
    with psycopg.connect(conninfo) as late:
        # A process that was not told of the new root key yet makes a key.
        another = vault(late, "Late")
        another.add(old)
        assert retire_root_key(acme.connection, old.identifier, current=new.identifier) == 2
        late.commit()
        another.connection = acme.connection
        assert another.readable_with(old) == [1]
    assert in_use(acme, new)[old.identifier] == (1, 1, False)
