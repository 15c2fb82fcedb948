"""The key ring: what it finds and what it refuses."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.exceptions import InvalidTag

from tests.integration.keys.keyholder import Keyholder, keyholder
from workers.database.pool import Pool
from workers.errors import NotFoundError, PermanentError
from workers.keys import store
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.keyring import (
    DestroyedKeyError,
    KeyExhaustedError,
    KeyRing,
    SuspendedKeyError,
    UnknownKeyError,
    UnknownRootKeyError,
    WrappedKeyError,
)
from workers.keys.listing import list_keys, show_key
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.file import FileRootKey
from workers.keys.states import State
from workers.keys.unwrapping import wrap_key
from workers.keys.usage import FIRST_BLOCK, LIMIT

FIELD = uuid4()
NONCE = bytes(12)


@pytest.fixture
def ring(pool: Pool, root_keys: RootKeys) -> KeyRing:
    """A ring with the usual memory of a minute."""
    return KeyRing(pool, root_keys)


def sealed(ring: KeyRing, organization_id: int) -> tuple[int, bytes]:
    """Encrypt under the active key; return its number and the ciphertext."""
    key = ring.active_key(organization_id)
    return key.number, key.field_aead(FIELD).encrypt(NONCE, b"4111", None)


def opened(ring: KeyRing, organization_id: int, number: int, ciphertext: bytes) -> bytes:
    """Decrypt under a key."""
    aead = ring.key(organization_id, number).field_aead(FIELD)
    return aead.decrypt(NONCE, ciphertext, None)


def test_the_first_key_is_made_when_something_is_to_be_encrypted(
    acme: Keyholder, ring: KeyRing
) -> None:
    assert ring.active_number(acme.organization_id) is None
    assert acme.states() == {}
    key = ring.active_key(acme.organization_id)
    assert (key.organization_id, key.number) == (acme.organization_id, 1)
    assert acme.states() == {1: "active"}
    assert ring.active_number(acme.organization_id) == 1
    assert ring.active_key(acme.organization_id).number == 1
    shown = show_key(acme.connection, acme.organization_id, 1)
    assert (shown.state_actor, shown.state_reason) == ("keywright", "the first value to encrypt")


def test_an_organization_that_is_none_gets_no_key(acme: Keyholder, ring: KeyRing) -> None:
    with pytest.raises(NotFoundError, match="There is no organization 999999"):
        ring.active_key(999_999)
    assert list_keys(acme.connection) == []


def test_the_active_number_is_never_remembered(acme: Keyholder, ring: KeyRing) -> None:
    first, ciphertext = sealed(ring, acme.organization_id)
    acme.rotate(1)
    assert ring.active_number(acme.organization_id) == 2
    second, _ = sealed(ring, acme.organization_id)
    assert (first, second) == (1, 2)
    assert opened(ring, acme.organization_id, 1, ciphertext) == b"4111"


def test_another_process_opens_what_one_has_sealed(
    acme: Keyholder, ring: KeyRing, pool: Pool, root_key_path: Path
) -> None:
    number, ciphertext = sealed(ring, acme.organization_id)
    elsewhere = KeyRing(pool, RootKeys(FileRootKey(root_key_path)))
    assert opened(elsewhere, acme.organization_id, number, ciphertext) == b"4111"


def test_fields_keys_and_organizations_do_not_open_each_others_values(
    acme: Keyholder, ring: KeyRing, root_keys: RootKeys
) -> None:
    other = keyholder(acme.connection, root_keys, "Other")
    _, ciphertext = sealed(ring, acme.organization_id)
    acme.rotate(1)
    for key, field in (
        (ring.active_key(acme.organization_id), FIELD),
        (ring.key(acme.organization_id, 1), uuid4()),
        (ring.active_key(other.organization_id), FIELD),
    ):
        with pytest.raises(InvalidTag):
            key.field_aead(field).decrypt(NONCE, ciphertext, None)


def test_the_cipher_of_a_field_is_made_once_per_key(acme: Keyholder, ring: KeyRing) -> None:
    key = ring.active_key(acme.organization_id)
    assert key.field_aead(FIELD) is key.field_aead(FIELD)
    assert ring.key(acme.organization_id, 1) is key


@pytest.mark.parametrize(
    ("state", "error", "sentence"),
    [
        (State.PRE_ACTIVE, UnknownKeyError, "was never put to use"),
        (State.SUSPENDED, SuspendedKeyError, "is suspended"),
        (State.DESTROYED, DestroyedKeyError, "was destroyed"),
    ],
)
def test_a_key_that_may_not_decrypt_is_refused_with_its_own_error(
    acme: Keyholder, ring: KeyRing, state: State, error: type[PermanentError], sentence: str
) -> None:
    number = acme.bring_to(state)
    with pytest.raises(PermanentError, match=f"^Master key {number} {sentence}") as refused:
        ring.key(acme.organization_id, number)
    assert type(refused.value) is error
    # The neighbours stay readable.
    assert ring.key(acme.organization_id, 1).number == 1


def test_a_number_that_was_never_there_is_refused(acme: Keyholder, ring: KeyRing) -> None:
    acme.rotate(None)
    for number in (0, 2, 2**32 - 1):
        with pytest.raises(UnknownKeyError, match=f"There is no master key {number};"):
            ring.key(acme.organization_id, number)


@pytest.mark.parametrize("state", [State.ARCHIVED, State.COMPROMISED, State.ACTIVE])
def test_a_key_that_may_decrypt_does(acme: Keyholder, ring: KeyRing, state: State) -> None:
    number = acme.bring_to(state)
    assert ring.key(acme.organization_id, number).number == number


def test_a_compromised_key_encrypts_nothing_more(acme: Keyholder, ring: KeyRing) -> None:
    acme.rotate(None)
    acme.rotate(1, former_state=State.COMPROMISED)
    assert ring.active_key(acme.organization_id).number == 2


def test_nothing_of_a_key_shows(acme: Keyholder, ring: KeyRing) -> None:
    key = ring.active_key(acme.organization_id)
    assert repr(key) == "<master key 1>"
    assert repr(ring) == "<a key ring of 1 keys>"
    with pytest.raises(TypeError, match="stays in its process"):
        pickle.dumps(key)


def test_uses_are_on_record_before_the_key_is_handed_out(acme: Keyholder, ring: KeyRing) -> None:
    ring.active_key(acme.organization_id)
    assert show_key(acme.connection, acme.organization_id, 1).uses_leased == FIRST_BLOCK
    ring.active_key(acme.organization_id, uses=5 * FIRST_BLOCK)
    assert show_key(acme.connection, acme.organization_id, 1).uses_leased == 5 * FIRST_BLOCK + 1
    ring.key(acme.organization_id, 1)
    assert show_key(acme.connection, acme.organization_id, 1).uses_leased == 5 * FIRST_BLOCK + 1


def test_an_exhausted_key_is_refused_and_its_successor_is_not(
    acme: Keyholder, ring: KeyRing
) -> None:
    acme.rotate(None)
    acme.set(1, "uses_leased", LIMIT)
    with pytest.raises(KeyExhaustedError):
        ring.active_key(acme.organization_id)
    acme.rotate(1)
    assert ring.active_key(acme.organization_id).number == 2


def test_a_key_that_gives_way_just_before_it_is_exhausted_is_followed_at_once(
    acme: Keyholder, pool: Pool
) -> None:
    class Late(KeyRing):
        def active_number(self, organization_id: int) -> int | None:
            number = super().active_number(organization_id)
            if number == 1:
                acme.rotate(1)  # after we have looked
            return number

    acme.rotate(None)
    acme.set(1, "uses_leased", LIMIT)
    assert Late(pool, acme.root_keys).active_key(acme.organization_id).number == 2


def test_a_key_under_a_former_root_key_opens(
    acme: Keyholder, ring: KeyRing, pool: Pool, tmp_path: Path
) -> None:
    number, ciphertext = sealed(ring, acme.organization_id)
    new = FileRootKey(tmp_path / "new.key", create_if_missing=True)
    both = KeyRing(pool, RootKeys(new, [acme.root_keys.current]))
    assert opened(both, acme.organization_id, number, ciphertext) == b"4111"


def test_a_root_key_that_is_not_configured_is_named_with_the_setting(
    acme: Keyholder, pool: Pool, tmp_path: Path
) -> None:
    acme.rotate(None)
    new = FileRootKey(tmp_path / "new.key", create_if_missing=True)
    with pytest.raises(UnknownRootKeyError, match="KEYWRIGHT_FORMER_ROOT_KEY") as refused:
        KeyRing(pool, RootKeys(new)).key(acme.organization_id, 1)
    assert acme.root_keys.current.identifier in str(refused.value)
    assert new.identifier not in str(refused.value)


def test_a_wrap_that_is_damaged_does_no_harm_while_another_opens(
    acme: Keyholder, ring: KeyRing, pool: Pool, tmp_path: Path
) -> None:
    number, ciphertext = sealed(ring, acme.organization_id)
    new = FileRootKey(tmp_path / "new.key", create_if_missing=True)
    store.add_wraps(
        acme.connection,
        organization_id=acme.organization_id,
        number=number,
        wraps={new.identifier: b"damaged"},
    )
    both = KeyRing(pool, RootKeys(new, [acme.root_keys.current]))
    assert opened(both, acme.organization_id, number, ciphertext) == b"4111"
    with pytest.raises(WrappedKeyError):
        KeyRing(pool, RootKeys(new)).key(acme.organization_id, number)


def test_a_wrap_from_another_place_does_not_open(acme: Keyholder, ring: KeyRing) -> None:
    number = acme.bring_to(State.ARCHIVED)
    acme.connection.execute(
        "UPDATE keywright.master_key_wrap SET wrapped_key ="
        " (SELECT wrapped_key FROM keywright.master_key_wrap JOIN keywright.master_key"
        " USING (master_key_id) WHERE key_number = 1)"
    )
    assert ring.key(acme.organization_id, 1).number == 1
    with pytest.raises(WrappedKeyError):
        ring.key(acme.organization_id, number)


@pytest.mark.parametrize("column", ["check_value", "fingerprint"])
def test_what_comes_out_must_be_the_key_that_was_stored(
    acme: Keyholder, ring: KeyRing, column: str
) -> None:
    acme.rotate(None)
    acme.set(1, column, bytes(5 if column == "check_value" else 32))
    with pytest.raises(WrappedKeyError, match="for master key 1 is not that key; restore"):
        ring.key(acme.organization_id, 1)


def test_a_wrap_of_another_key_for_the_same_place_is_not_taken(
    acme: Keyholder, ring: KeyRing
) -> None:
    acme.rotate(None)
    forged = wrap_key(
        acme.root_keys.current,
        CleartextKey.generate(),
        organization_id=acme.organization_id,
        number=1,
    )
    acme.connection.execute("UPDATE keywright.master_key_wrap SET wrapped_key = %s", [forged])
    with pytest.raises(WrappedKeyError, match="is not that key"):
        ring.key(acme.organization_id, 1)


def test_a_key_without_any_wrap_says_so(acme: Keyholder, ring: KeyRing) -> None:
    acme.rotate(None)
    acme.connection.execute("DELETE FROM keywright.master_key_wrap")
    with pytest.raises(WrappedKeyError, match="Master key 1 has lost its wrapped material"):
        ring.key(acme.organization_id, 1)


def test_many_threads_of_many_processes_get_one_first_key(
    acme: Keyholder, pool: Pool, root_key_path: Path
) -> None:
    rings = [KeyRing(pool, RootKeys(FileRootKey(root_key_path))) for _ in range(4)]
    acme.root_keys.current.identifier  # noqa: B018  # makes the file
    with ThreadPoolExecutor(16) as threads:
        keys = list(threads.map(lambda i: rings[i % 4].active_key(acme.organization_id), range(64)))
    assert {key.number for key in keys} == {1}
    assert acme.states() == {1: "active"}


def test_threads_that_want_the_same_key_unwrap_it_once(
    acme: Keyholder, pool: Pool, root_keys: RootKeys
) -> None:
    acme.rotate(None)
    ring = KeyRing(pool, root_keys)
    with ThreadPoolExecutor(16) as threads:
        keys = list(threads.map(lambda _: ring.key(acme.organization_id, 1), range(64)))
    assert len(set(map(id, keys))) == 1
    assert ring._loading == {}
