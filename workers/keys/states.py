"""The states of a master key, what each allows, and the moves between them. Pure.

The database has the same table of moves and enforces it (``keywright.master_key_transition``); here
it serves to say beforehand, and in words, what would be refused.
"""

from collections.abc import Set as AbstractSet
from enum import StrEnum

from workers.errors import PermanentError


class State(StrEnum):
    """Where a master key is in its life (SP 800-57 part 1 §7)."""

    PRE_ACTIVE = "pre_active"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    ARCHIVED = "archived"
    COMPROMISED = "compromised"
    DESTROYED = "destroyed"


class Origin(StrEnum):
    """Where the material of a master key comes from."""

    GENERATED = "generated"
    UPLOADED = "uploaded"


class UnknownKeyError(PermanentError):
    """The organization has never encrypted anything under a master key of this number."""

    code = "unknown-key"
    title = "There is no such master key"


class DestroyedKeyError(PermanentError):
    """The material of the master key is gone; an import of its export brings it back."""

    code = "destroyed-key"
    title = "The master key was destroyed"


class SuspendedKeyError(PermanentError):
    """The master key may not be used until somebody reinstates it."""

    code = "suspended-key"
    title = "The master key is suspended"


class KeyExhaustedError(PermanentError):
    """The master key has encrypted as often as it may."""

    code = "key-exhausted"
    title = "The master key may encrypt nothing more"


LEGAL_MOVES: AbstractSet[tuple[State, State]] = frozenset(
    {
        (State.PRE_ACTIVE, State.ACTIVE),
        (State.PRE_ACTIVE, State.DESTROYED),
        (State.ACTIVE, State.ARCHIVED),
        (State.ACTIVE, State.COMPROMISED),
        (State.SUSPENDED, State.ARCHIVED),
        (State.SUSPENDED, State.COMPROMISED),
        (State.SUSPENDED, State.DESTROYED),
        (State.ARCHIVED, State.SUSPENDED),
        (State.ARCHIVED, State.COMPROMISED),
        (State.ARCHIVED, State.DESTROYED),
        (State.COMPROMISED, State.DESTROYED),
        (State.DESTROYED, State.ARCHIVED),
    }
)
"""From where to where; everything else is refused."""


def may_move(former: State, latter: State) -> bool:
    """Return whether a key may go from ``former`` to ``latter``."""
    return (former, latter) in LEGAL_MOVES


def may_encrypt(state: State) -> bool:
    """Return whether a key in this state encrypts."""
    return state is State.ACTIVE


def may_decrypt(state: State) -> bool:
    """Return whether a key in this state decrypts."""
    return state in (State.ACTIVE, State.ARCHIVED, State.COMPROMISED)


def check_may_decrypt(number: int, state: State | None) -> None:
    """Return if key ``number`` decrypts; ``state`` None means that there is no such key.

    Raises:
        UnknownKeyError: no value can be under it.
        SuspendedKeyError, DestroyedKeyError: as they say.
    """
    if state is None:
        raise UnknownKeyError(
            f"There is no master key {number}; check that the value belongs to this organization."
        )
    if state is State.PRE_ACTIVE:
        raise UnknownKeyError(
            f"Master key {number} was never put to use, so no value can be under it."
        )
    if state is State.SUSPENDED:
        raise SuspendedKeyError(
            f"Master key {number} is suspended; its values are readable once it is reinstated."
        )
    if state is State.DESTROYED:
        raise DestroyedKeyError(
            f"Master key {number} was destroyed; import its export to read its values again."
        )
