"""From a stored master key to its cleartext, with proof that it is the right one."""

from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.root_keys import (
    RootKey,
    RootKeys,
    RootKeyUnavailableError,
    UnknownRootKeyError,
    WrappedKeyError,
)
from workers.keys.root_keys.root_key import wrapping_context
from workers.keys.store import StoredKey


def wrap_key(root_key: RootKey, key: CleartextKey, *, organization_id: int, number: int) -> bytes:
    """Return ``key`` wrapped for its place.

    Raises:
        RootKeyUnavailableError: as of the root key.
    """
    return root_key.wrap(key.reveal(), context=wrapping_context(organization_id, number))


def unwrap_key(root_keys: RootKeys, stored: StoredKey) -> CleartextKey:
    """Return the cleartext of a stored key from any wrap that one of ``root_keys`` opens.

    Raises:
        UnknownRootKeyError: none of its root keys is configured here.
        RootKeyUnavailableError: no wrap opens, and one cannot be tried right now.
        WrappedKeyError: no wrap opens, or what comes out is not the key that was stored.
    """
    trouble: RootKeyUnavailableError | WrappedKeyError | None = None
    current_first = sorted(
        stored.wraps, key=lambda wrap: wrap.root_key != root_keys.current.identifier
    )
    for wrap in current_first:
        root_key = root_keys.get(wrap.root_key)
        if root_key is None:
            continue
        try:
            return unwrap_under(root_key, wrap.wrapped_key, stored)
        except RootKeyUnavailableError as error:
            trouble = error
        except WrappedKeyError as error:
            # Trying again later may help against the other trouble, and not against this.
            trouble = trouble or error
    if trouble is not None:
        raise trouble
    if not stored.wraps:
        raise WrappedKeyError(
            f"Master key {stored.number} has lost its wrapped material; import its export."
        )
    identifiers = ", ".join(wrap.root_key for wrap in stored.wraps)
    raise UnknownRootKeyError(
        f"Master key {stored.number} is wrapped under {identifiers}, and no such root key is"
        " configured here; name it in KEYWRIGHT_FORMER_ROOT_KEY."
    )


def unwrap_under(root_key: RootKey, wrapped_key: bytes, stored: StoredKey) -> CleartextKey:
    """Return the cleartext of a stored key from its wrap under ``root_key``.

    Raises:
        RootKeyUnavailableError: as of the root key.
        WrappedKeyError: the wrap does not open, or holds another key than was stored.
    """
    context = wrapping_context(stored.organization_id, stored.number)
    material = root_key.unwrap(wrapped_key, context=context)
    try:
        key = CleartextKey(material)
    except ValueError:
        key = None
    if (
        key is None
        or key.check_value() != stored.check_value
        or key.fingerprint() != stored.fingerprint
    ):
        raise WrappedKeyError(
            f"What is wrapped under {root_key.identifier} for master key {stored.number} is not"
            " that key; restore its row from a backup, or import its export."
        )
    return key
