"""Taking a master key out of use: for now, or because somebody else may know it."""

from workers.contract.announcements import MasterKeyCompromised
from workers.database.pool import Connection
from workers.keys import store
from workers.keys.listing import show_key
from workers.keys.root_keys import RootKeys
from workers.keys.rotation import Rotated, rotate
from workers.keys.states import State
from workers.keys.telling import tell


def compromise(
    connection: Connection,
    root_keys: RootKeys,
    *,
    organization_id: int,
    number: int,
    actor: str,
    reason: str,
) -> Rotated:
    """Mark a key as compromised; the active one gives way to a new key in the same transaction.

    Raises:
        UnknownKeyError: there is no such key.
        ConflictError: it is compromised already, destroyed, or was never put to use.
        Others: as ``rotate``.
    """
    stored = show_key(connection, organization_id, number)
    if stored.state is State.ACTIVE:
        rotated = rotate(
            connection,
            root_keys,
            organization_id=organization_id,
            expected_number=number,
            actor=actor,
            reason=reason,
            former_state=State.COMPROMISED,
        )
        if rotated.rotated:
            return rotated
    with connection.transaction():
        store.move_key(
            connection,
            organization_id=organization_id,
            number=number,
            to=State.COMPROMISED,
            actor=actor,
            reason=reason,
            only_from=(State.ARCHIVED, State.SUSPENDED),
        )
        tell(connection, MasterKeyCompromised(number=number), organization_id=organization_id)
        active = store.active_number(connection, organization_id)
    assert active is not None
    return Rotated(number=active, former=number, rotated=False)


def suspend(
    connection: Connection, *, organization_id: int, number: int, actor: str, reason: str
) -> None:
    """Keep an archived key from being used for now: its values cannot be read.

    Raises:
        UnknownKeyError: there is no such key.
        ConflictError: it is not archived.
    """
    store.move_key(
        connection,
        organization_id=organization_id,
        number=number,
        to=State.SUSPENDED,
        actor=actor,
        reason=reason,
        only_from=(State.ARCHIVED,),
    )


def reinstate(
    connection: Connection, *, organization_id: int, number: int, actor: str, reason: str
) -> None:
    """Allow a suspended key to be used again: it is archived, and decrypts.

    Raises:
        UnknownKeyError: there is no such key.
        ConflictError: it is not suspended.
    """
    # Only from there: a key that was destroyed becomes archived by an import alone.
    store.move_key(
        connection,
        organization_id=organization_id,
        number=number,
        to=State.ARCHIVED,
        actor=actor,
        reason=reason,
        only_from=(State.SUSPENDED,),
    )
