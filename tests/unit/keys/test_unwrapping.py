"""Which wrap of a key is opened, and what is said when none does."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from workers.errors import KeywrightError
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.root_keys import (
    RootKeys,
    RootKeyUnavailableError,
    UnknownRootKeyError,
    WrappedKeyError,
)
from workers.keys.root_keys.file import FileRootKey
from workers.keys.states import Origin, State
from workers.keys.store import StoredKey, Wrap
from workers.keys.unwrapping import unwrap_key, wrap_key

KEY = CleartextKey(bytes(range(32)))
DAMAGED = b"damaged"


class SwitchableRootKey(FileRootKey):
    """A root key that may be away."""

    is_away = False

    def unwrap(self, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
        """Unwrap, if it is not."""
        if self.is_away:
            raise RootKeyUnavailableError("The root key is away.")
        return super().unwrap(wrapped, context=context)


@pytest.fixture
def old(tmp_path: Path) -> SwitchableRootKey:
    """The former root key."""
    return SwitchableRootKey(tmp_path / "old.key", create_if_missing=True)


@pytest.fixture
def new(tmp_path: Path) -> SwitchableRootKey:
    """The root key in use."""
    return SwitchableRootKey(tmp_path / "new.key", create_if_missing=True)


def wrapped(root_key: FileRootKey) -> Wrap:
    """Return the key as a root key wraps it for its place."""
    return Wrap(
        root_key=root_key.identifier,
        wrapped_key=wrap_key(root_key, KEY, organization_id=424242, number=3),
    )


def damaged(root_key: FileRootKey) -> Wrap:
    """Return a wrap that does not open."""
    return Wrap(root_key=root_key.identifier, wrapped_key=DAMAGED)


def stored(*wraps: Wrap, number: int = 3) -> StoredKey:
    """Return the key as the database has it."""
    return StoredKey(
        organization_id=424242,
        number=number,
        state=State.ACTIVE,
        origin=Origin.GENERATED,
        check_value=KEY.check_value(),
        fingerprint=KEY.fingerprint(),
        wraps=wraps,
    )


def test_any_wrap_does(old: SwitchableRootKey, new: SwitchableRootKey) -> None:
    for wraps in ([wrapped(old)], [wrapped(new)], [wrapped(old), wrapped(new)]):
        assert unwrap_key(RootKeys(new, [old]), stored(*wraps)) == KEY


def test_the_root_key_in_use_is_asked_first(old: SwitchableRootKey, new: SwitchableRootKey) -> None:
    old.is_away = True
    for wraps in ([wrapped(old), wrapped(new)], [wrapped(new), wrapped(old)]):
        assert unwrap_key(RootKeys(new, [old]), stored(*wraps)) == KEY


def test_while_one_root_key_is_away_another_does(
    old: SwitchableRootKey, new: SwitchableRootKey
) -> None:
    new.is_away = True
    assert unwrap_key(RootKeys(new, [old]), stored(wrapped(new), wrapped(old))) == KEY


def test_a_root_key_that_is_not_configured_is_passed_over(
    old: SwitchableRootKey, new: SwitchableRootKey
) -> None:
    assert unwrap_key(RootKeys(new), stored(wrapped(old), wrapped(new))) == KEY


@pytest.mark.parametrize("new_is_away", [True, False])
def test_what_may_work_later_is_said_before_what_never_will(
    old: SwitchableRootKey, new: SwitchableRootKey, new_is_away: bool
) -> None:
    new.is_away, old.is_away = new_is_away, not new_is_away
    wraps = (wrapped(new), damaged(old)) if new_is_away else (damaged(new), wrapped(old))
    with pytest.raises(RootKeyUnavailableError, match="The root key is away"):
        unwrap_key(RootKeys(new, [old]), stored(*wraps))


def test_a_key_under_no_root_key_that_is_configured_names_them_all(
    old: SwitchableRootKey, new: SwitchableRootKey, tmp_path: Path
) -> None:
    third = FileRootKey(tmp_path / "third.key", create_if_missing=True)
    with pytest.raises(UnknownRootKeyError, match="KEYWRIGHT_FORMER_ROOT_KEY") as refused:
        unwrap_key(RootKeys(third), stored(wrapped(old), wrapped(new)))
    assert old.identifier in str(refused.value)
    assert new.identifier in str(refused.value)
    assert "Master key 3 " in str(refused.value)


@pytest.mark.parametrize("material", [bytes(31), bytes(33), bytes(32)])
def test_what_comes_out_must_be_the_key(new: SwitchableRootKey, material: bytes) -> None:
    class Careless(SwitchableRootKey):
        def unwrap(self, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
            assert super().unwrap(wrapped, context=context)
            return material

    careless = Careless(new._path)
    with pytest.raises(WrappedKeyError, match="is not that key; restore"):
        unwrap_key(RootKeys(careless), stored(wrapped(new)))


def test_a_wrap_does_not_open_in_another_place(new: SwitchableRootKey) -> None:
    with pytest.raises(WrappedKeyError):
        unwrap_key(RootKeys(new), stored(wrapped(new), number=4))


def test_no_error_says_whose_key_it_is_or_shows_any_of_it(
    old: SwitchableRootKey, new: SwitchableRootKey
) -> None:
    for wraps in ([], [damaged(new)], [wrapped(old)]):
        with pytest.raises(KeywrightError) as refused:
            unwrap_key(RootKeys(new), stored(*wraps))
        assert "424242" not in str(refused.value)
        assert KEY.reveal().hex() not in str(refused.value)
