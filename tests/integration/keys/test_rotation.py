"""Rotation: one key takes the place of another, whoever else tries and whatever breaks."""

from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from tests.integration.keys.keyholder import Keyholder
from workers.database.pool import Pool
from workers.errors import ConflictError, NotFoundError
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.keyring import KeyRing
from workers.keys.listing import key_history, show_key
from workers.keys.root_keys import (
    RootKeys,
    RootKeyUnavailableError,
    UnknownRootKeyError,
    WrappedKeyError,
)
from workers.keys.root_keys.file import FileRootKey
from workers.keys.rotation import Rotated, promote
from workers.keys.states import Origin, State


class TroubledRootKey(FileRootKey):
    """A root key that fails where a test tells it to."""

    wraps_rubbish = False
    is_away_for = frozenset[str]()

    def wrap(self, key: bytes, *, context: Mapping[str, str]) -> bytes:
        """Wrap, or not."""
        if "wrap" in self.is_away_for:
            raise RootKeyUnavailableError("The root key is away.")
        return super().wrap(bytes(32) if self.wraps_rubbish else key, context=context)

    def unwrap(self, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
        """Unwrap, or not."""
        if "unwrap" in self.is_away_for:
            raise RootKeyUnavailableError("The root key is away.")
        return super().unwrap(wrapped, context=context)


@pytest.fixture
def troubled(acme: Keyholder, root_key_path: Path) -> TroubledRootKey:
    """Acme's root key, which has troubles from now on, after the first key was made."""
    acme.rotate(None)
    root_key = TroubledRootKey(root_key_path)
    acme.root_keys = RootKeys(root_key)
    return root_key


def test_the_first_key_is_number_one(acme: Keyholder) -> None:
    assert acme.rotate(None) == Rotated(number=1, former=None, rotated=True)
    assert acme.states() == {1: "active"}


def test_a_new_key_takes_the_place_of_the_active_one(acme: Keyholder) -> None:
    acme.rotate(None)
    assert acme.rotate(1) == Rotated(number=2, former=1, rotated=True)
    assert acme.rotate(2) == Rotated(number=3, former=2, rotated=True)
    assert acme.states() == {1: "archived", 2: "archived", 3: "active"}


def test_a_number_is_never_used_again(acme: Keyholder) -> None:
    number = acme.bring_to(State.DESTROYED)
    latest = max(acme.states())
    assert acme.rotate(latest).number == latest + 1
    assert acme.states()[number] == "destroyed"


@pytest.mark.parametrize("expected_number", [None, 1])
def test_whoever_expects_another_key_changes_nothing_and_learns_which_is_active(
    acme: Keyholder, expected_number: int | None
) -> None:
    acme.rotate(None)
    acme.rotate(1)
    before = acme.states()
    late = acme.rotate(expected_number)
    assert late == Rotated(number=2, former=expected_number, rotated=False)
    assert acme.states() == before


def test_a_key_that_was_never_active_cannot_give_way(acme: Keyholder) -> None:
    with pytest.raises(NotFoundError, match="Master key 1 was never active"):
        acme.rotate(1)
    acme.rotate(None)
    with pytest.raises(NotFoundError, match="Master key 2 was never active"):
        acme.rotate(2)
    assert acme.states() == {1: "active"}


def test_an_organization_that_is_none_has_no_key(acme: Keyholder) -> None:
    acme.organization_id = 999_999
    with pytest.raises(NotFoundError, match="There is no organization 999999"):
        acme.rotate(None)


def test_a_rotation_refuses_a_connection_on_which_it_could_not_commit_twice(
    acme: Keyholder, conninfo: str
) -> None:
    with acme.connection.transaction(), pytest.raises(ValueError, match="commits twice"):
        acme.rotate(None)
    with psycopg.connect(conninfo) as acme.connection, pytest.raises(ValueError, match="twice"):
        acme.rotate(None)


def test_a_rotation_is_announced_with_the_change(acme: Keyholder) -> None:
    acme.rotate(None)
    acme.rotate(1, reason="yearly")
    acme.rotate(1)
    place = f"master-key/{acme.organization_id}"
    assert acme.announcements() == [
        ("master_key.created", f"{place}/1", {"number": 1}),
        (
            "master_key.rotated",
            f"{place}/2",
            {"number": 2, "former_number": 1, "reason": "yearly"},
        ),
    ]


def test_a_rotation_that_is_rolled_back_is_neither_made_nor_announced(acme: Keyholder) -> None:
    acme.rotate(None)
    half = acme.prepared(1)
    before = acme.announcements()
    with acme.connection.transaction(force_rollback=True):
        promote(acme.connection, half, actor="alice", reason="a test")
    assert acme.states() == {1: "active", 2: "pre_active"}
    assert acme.announcements() == before
    assert acme.finish(half).number == 2


def test_the_root_key_works_while_no_transaction_is_open(
    acme: Keyholder, root_key_path: Path
) -> None:
    connection, seen = acme.connection, []

    class Watching(FileRootKey):
        def wrap(self, key: bytes, *, context: Mapping[str, str]) -> bytes:
            seen.append(("wrap", connection.info.transaction_status))
            return super().wrap(key, context=context)

        def unwrap(self, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
            seen.append(("unwrap", connection.info.transaction_status))
            return super().unwrap(wrapped, context=context)

    acme.root_keys = RootKeys(Watching(root_key_path, create_if_missing=True))
    acme.rotate(None)
    assert seen == [("wrap", TransactionStatus.IDLE), ("unwrap", TransactionStatus.IDLE)]


def test_a_root_key_that_is_away_changes_nothing(
    acme: Keyholder, troubled: TroubledRootKey
) -> None:
    troubled.is_away_for = frozenset({"wrap"})
    with pytest.raises(RootKeyUnavailableError):
        acme.rotate(1)
    assert acme.states() == {1: "active"}


def test_a_key_that_could_not_be_proven_yet_is_taken_up_later(
    acme: Keyholder, troubled: TroubledRootKey
) -> None:
    troubled.is_away_for = frozenset({"unwrap"})
    for _ in range(3):
        with pytest.raises(RootKeyUnavailableError):
            acme.rotate(1)
        assert acme.states() == {1: "active", 2: "pre_active"}
    troubled.is_away_for = frozenset()
    assert acme.rotate(1) == Rotated(number=2, former=1, rotated=True)


def test_a_key_that_does_not_open_again_is_given_up_and_never_used(
    acme: Keyholder, troubled: TroubledRootKey
) -> None:
    troubled.wraps_rubbish = True
    with pytest.raises(WrappedKeyError, match="for master key 2 is not that key"):
        acme.rotate(1)
    assert acme.states() == {1: "active", 2: "destroyed"}
    last = key_history(acme.connection, acme.organization_id, 2)[-1]
    assert last.reason == "the root key could not open what it had wrapped"
    troubled.wraps_rubbish = False
    assert acme.rotate(1).number == 3


def test_what_another_root_key_wrapped_is_not_taken_up_but_destroyed(
    acme: Keyholder, tmp_path: Path
) -> None:
    acme.rotate(None)
    acme.prepared(1)
    new = FileRootKey(tmp_path / "new.key", create_if_missing=True)
    acme.root_keys = RootKeys(new, former=[acme.root_keys.current])
    assert acme.rotate(1).number == 3
    assert acme.states() == {1: "archived", 2: "destroyed", 3: "active"}
    assert acme.wraps(2) == {}
    assert "left over" in key_history(acme.connection, acme.organization_id, 2)[-1].reason


def test_no_second_root_key_begins_where_the_first_was_lost(
    acme: Keyholder, root_key_path: Path
) -> None:
    acme.rotate(None)
    root_key_path.unlink()
    acme.root_keys = RootKeys(FileRootKey(root_key_path, create_if_missing=True))
    with pytest.raises(UnknownRootKeyError, match="KEYWRIGHT_FORMER_ROOT_KEY"):
        acme.rotate(1)
    assert acme.states() == {1: "active"}


def test_a_secret_that_is_brought_takes_the_same_way(acme: Keyholder, pool: Pool) -> None:
    acme.rotate(None)
    secret = CleartextKey.generate()
    assert acme.rotate(1, material=secret, origin=Origin.UPLOADED).number == 2
    shown = show_key(acme.connection, acme.organization_id, 2)
    assert (shown.origin, shown.fingerprint) == (Origin.UPLOADED, secret.fingerprint())
    assert KeyRing(pool, acme.root_keys).active_key(acme.organization_id).number == 2
    with pytest.raises(ConflictError, match="each is accepted once"):
        acme.rotate(2, material=secret, origin=Origin.UPLOADED)
    assert acme.states() == {1: "archived", 2: "active"}


def test_a_secret_that_was_left_half_way_is_accepted_when_it_is_brought_again(
    acme: Keyholder,
) -> None:
    acme.rotate(None)
    secret = CleartextKey.generate()
    acme.prepare(1, material=secret, origin=Origin.UPLOADED)
    acme.prepare(1)  # and somebody else's, too
    assert acme.states() == {1: "active", 2: "pre_active", 3: "pre_active"}
    assert acme.rotate(1, material=secret, origin=Origin.UPLOADED).number == 2
    assert acme.states() == {1: "archived", 2: "active", 3: "destroyed"}
    assert acme.rotate(2).number == 4


def test_another_secret_never_takes_the_place_of_the_one_that_is_brought(
    acme: Keyholder,
) -> None:
    acme.rotate(None)
    acme.prepared(1)
    first, second = CleartextKey.generate(), CleartextKey.generate()
    acme.prepare(1, material=first, origin=Origin.UPLOADED)
    assert acme.rotate(1, material=second, origin=Origin.UPLOADED).number == 4
    shown = show_key(acme.connection, acme.organization_id, 4)
    assert shown.fingerprint == second.fingerprint()
    assert acme.states() == {1: "archived", 2: "destroyed", 3: "destroyed", 4: "active"}
