"""Rotation: the ceremony by which a new master key takes the place of the active one.

Two commits. The first stores the new key, pre-active and wrapped, and then it is read back and
unwrapped as proof; only the second puts it to use. So nothing is encrypted under a key that another
process could not read. Who dies in between leaves a key that the next rotation uses or destroys.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from psycopg.pq import TransactionStatus

from workers.contract.announcements import MasterKeyCompromised, MasterKeyCreated, MasterKeyRotated
from workers.database.pool import Connection
from workers.errors import NotFoundError, TransientError
from workers.keys import store
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.known_root_keys import check_known, wrapping_root_keys
from workers.keys.root_keys import RootKeys, WrappedKeyError
from workers.keys.states import Origin, State
from workers.keys.telling import tell
from workers.keys.unwrapping import unwrap_under, wrap_key

Step: TypeAlias = Callable[[], AbstractContextManager[Connection]]
"""Begins a transaction of its own; it is committed when the context ends."""

_MOST_TRIES = 100
_MOST_TRIES = 100
_LEFT_OVER = "left over from a rotation that another overtook"


class RotationOvertakenError(TransientError):
    """The new key was destroyed before it was put to use, or others rotate all the time."""

    code = "rotation-overtaken"
    title = "Another change of the master keys came in between"


@dataclass(frozen=True, kw_only=True)
class Rotated:
    """The active key's number by now; ``rotated`` says whether it was this rotation's doing."""

    number: int
    former: int | None
    rotated: bool


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A pre-active key that is stored and was read back, to follow ``expected_number``."""

    organization_id: int
    number: int
    expected_number: int | None


def rotate(
    connection: Connection,
    root_keys: RootKeys,
    *,
    organization_id: int,
    expected_number: int | None,
    actor: str,
    reason: str,
    material: CleartextKey | None = None,
    origin: Origin = Origin.GENERATED,
    former_state: State = State.ARCHIVED,
) -> Rotated:
    """Let a new key take the place of key ``expected_number``; None: of no key, it is the first.

    Where another is active by now, nothing changes. ``connection`` must be in autocommit mode and
    outside any transaction. ``material`` is a secret that the organization brings.

    Raises:
        NotFoundError: there is no such organization, or ``expected_number`` was never active.
        ConflictError: ``material`` was a master key before.
        UnknownRootKeyError: every master key that there is, is wrapped under other root keys.
        RootKeyUnavailableError: the root key does not wrap, or does not prove it, right now.
        WrappedKeyError: what the root key wrapped does not open again; the key was given up.
        RotationOvertakenError: trying again helps.
    """
    if not connection.autocommit or connection.info.transaction_status != TransactionStatus.IDLE:
        raise ValueError("a rotation commits twice, so it needs a connection of its own")
    prepared = prepare(
        transactions_of(connection),
        root_keys,
        organization_id=organization_id,
        expected_number=expected_number,
        actor=actor,
        reason=reason,
        material=material,
        origin=origin,
    )
    if isinstance(prepared, Rotated):
        return prepared
    with connection.transaction():
        return promote(connection, prepared, actor=actor, reason=reason, former_state=former_state)


def transactions_of(connection: Connection) -> Step:
    """Return what begins a transaction on ``connection``, again and again."""

    @contextmanager
    def step() -> Iterator[Connection]:
        with connection.transaction():
            yield connection

    return step


def prepare(
    step: Step,
    root_keys: RootKeys,
    *,
    organization_id: int,
    expected_number: int | None,
    actor: str,
    reason: str,
    material: CleartextKey | None = None,
    origin: Origin = Origin.GENERATED,
) -> Prepared | Rotated:
    """Do the first half of a rotation: a new key, stored and proven to be readable.

    Returns what there is if another key than ``expected_number`` is active; raises as ``rotate``.
    """
    for _ in range(_MOST_TRIES):
        with step() as connection:
            if overtaken := _overtaken(connection, organization_id, expected_number):
                return overtaken
            highest, numbers = _numbers(connection, organization_id)
            waiting = [store.load_key(connection, organization_id, each) for each in numbers]
            in_use = wrapping_root_keys(connection)
        number = highest + 1
        check_known(root_keys, in_use)
        for stored in waiting:
            if stored is not None and _is_as_wanted(root_keys, stored, material, origin):
                return Prepared(
                    organization_id=organization_id,
                    number=stored.number,
                    expected_number=expected_number,
                )
        # No transaction is open while the root key works: it may be far away.
        key = material or CleartextKey.generate()
        wrapped = wrap_key(root_keys.current, key, organization_id=organization_id, number=number)
        with step() as connection:
            store.lock_organization(connection, organization_id)
            overtaken = _overtaken(connection, organization_id, expected_number)
            # False where somebody took the number meanwhile: the wrap is bound to it, so once more.
            inserted = overtaken is None and store.insert_key(
                connection,
                organization_id=organization_id,
                number=number,
                check_value=key.check_value(),
                fingerprint=key.fingerprint(),
                origin=origin,
                wraps={root_keys.current.identifier: wrapped},
                actor=actor,
                reason=reason,
            )
        if overtaken is not None:
            return overtaken
        if inserted and _is_proven(step, root_keys, organization_id, number, actor=actor):
            return Prepared(
                organization_id=organization_id, number=number, expected_number=expected_number
            )
    raise RotationOvertakenError("Others make master keys all the time; try again later.")


def promote(
    connection: Connection,
    prepared: Prepared,
    *,
    actor: str,
    reason: str,
    former_state: State = State.ARCHIVED,
) -> Rotated:
    """Do the second half: put the prepared key to use, in the caller's transaction.

    Where another key than the expected one is active by now, the prepared one is destroyed instead.

    Raises:
        RotationOvertakenError: the prepared key is not there any more; nothing was changed.
    """
    number, expected_number = prepared.number, prepared.expected_number
    store.lock_organization(connection, prepared.organization_id)
    move = partial(
        store.move_key, connection, organization_id=prepared.organization_id, actor=actor
    )
    _, waiting = _numbers(connection, prepared.organization_id)
    overtaken = _overtaken(connection, prepared.organization_id, expected_number)
    if overtaken is None and number not in waiting:
        raise RotationOvertakenError(
            f"Master key {number} was destroyed before it was put to use; try again."
        )
    # Nobody else may find a use for what is left over, and its numbers would pile up.
    left_over = {number} if overtaken else set(waiting) - {number}
    for each in sorted(left_over.intersection(waiting)):
        move(number=each, to=State.DESTROYED, reason=_LEFT_OVER)
    if overtaken is not None:
        return overtaken
    if expected_number is not None:
        move(number=expected_number, to=former_state, reason=reason)
    move(number=number, to=State.ACTIVE, reason=reason)
    _announce(connection, prepared, former_state=former_state, reason=reason)
    return Rotated(number=number, former=expected_number, rotated=True)


def _overtaken(
    connection: Connection, organization_id: int, expected_number: int | None
) -> Rotated | None:
    """Return what there is if another key than the expected one is active, else None."""
    active = store.active_number(connection, organization_id)
    if active == expected_number:
        return None
    if active is None or (expected_number is not None and expected_number > active):
        raise NotFoundError(
            f"Master key {expected_number} was never active; `keywright key list` shows which is."
        )
    return Rotated(number=active, former=expected_number, rotated=False)


def _is_as_wanted(
    root_keys: RootKeys, stored: store.StoredKey, material: CleartextKey | None, origin: Origin
) -> bool:
    """Return whether a key that an earlier rotation left behind serves this one as well."""
    if stored.origin is not origin:
        return False
    if material is not None and material.fingerprint() != stored.fingerprint:
        return False
    wrapped = stored.wrap_under(root_keys.current.identifier)
    if wrapped is None:
        return False
    try:
        unwrap_under(root_keys.current, wrapped, stored)
    except WrappedKeyError:
        return False
    return True


def _is_proven(
    step: Step, root_keys: RootKeys, organization_id: int, number: int, *, actor: str
) -> bool:
    """Read a new key back and unwrap it; False if somebody has destroyed it meanwhile.

    Raises:
        WrappedKeyError: it does not open, and was given up.
    """
    with step() as connection:
        stored = store.load_key(connection, organization_id, number)
    assert stored is not None
    wrapped = stored.wrap_under(root_keys.current.identifier)
    if wrapped is None:
        return False
    try:
        # Compares with check value and fingerprint, which were stored apart from the wrap.
        unwrap_under(root_keys.current, wrapped, stored)
    except WrappedKeyError:
        with step() as connection:
            store.move_key(
                connection,
                organization_id=organization_id,
                number=number,
                to=State.DESTROYED,
                actor=actor,
                reason="the root key could not open what it had wrapped",
                only_from=(State.PRE_ACTIVE,),
            )
        raise
    return True


def _announce(
    connection: Connection, prepared: Prepared, *, former_state: State, reason: str
) -> None:
    announce = partial(tell, connection, organization_id=prepared.organization_id)
    number, former = prepared.number, prepared.expected_number
    if former is None:
        announce(MasterKeyCreated(number=number))
        return
    announce(MasterKeyRotated(number=number, former_number=former, reason=reason))
    if former_state is State.COMPROMISED:
        announce(MasterKeyCompromised(number=former))


def _numbers(connection: Connection, organization_id: int) -> tuple[int, list[int]]:
    """Return the highest number that any key has or had, and those of the pre-active keys."""
    row: Any = connection.execute(
        """
        SELECT coalesce(max(key_number), 0),
               array_remove(array_agg(CASE WHEN state = 'pre_active' THEN key_number END), NULL)
          FROM keywright.master_key WHERE organization_id = %(organization_id)s
        """,
        {"organization_id": organization_id},
    ).fetchone()
    return int(row[0]), sorted(row[1] or [])
