"""Master keys in the database. SQL only, one function one statement; no cleartext key."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import psycopg

from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError, NotFoundError
from workers.keys.states import Origin, State, UnknownKeyError

_LONGEST_ACTOR = 200
_LONGEST_REASON = 500


@dataclass(frozen=True, kw_only=True)
class Wrap:
    """The material of a master key as one root key wrapped it."""

    root_key: str
    wrapped_key: bytes


@dataclass(frozen=True, kw_only=True)
class StoredKey:
    """What is needed to unwrap a master key, and to see that the right one came out."""

    organization_id: int
    number: int
    state: State
    origin: Origin
    check_value: bytes
    fingerprint: bytes
    wraps: tuple[Wrap, ...]

    def wrap_under(self, root_key: str) -> bytes | None:
        """Return the wrap under the root key with this identifier, if there is one."""
        return next((wrap.wrapped_key for wrap in self.wraps if wrap.root_key == root_key), None)


def lock_organization(connection: Connection, organization_id: int) -> None:
    """Let nobody else change which keys the organization has, until the transaction ends.

    Raises:
        NotFoundError: there is no such organization.
    """
    row = connection.execute(
        """
        SELECT FROM keywright.organization
         WHERE organization_id = %(organization_id)s FOR NO KEY UPDATE
        """,
        {"organization_id": organization_id},
    ).fetchone()
    if row is None:
        raise NotFoundError(
            f"There is no organization {organization_id}; `keywright organization list` shows them."
        )


def active_number(connection: Connection, organization_id: int) -> int | None:
    """Return the number of the organization's active key; None if it has none yet."""
    row = connection.execute(
        """
        SELECT key_number FROM keywright.master_key
         WHERE organization_id = %(organization_id)s AND state = 'active'
        """,
        {"organization_id": organization_id},
    ).fetchone()
    return None if row is None else int(row[0])


def load_key(connection: Connection, organization_id: int, number: int) -> StoredKey | None:
    """Return a key with its wraps; None if there is none of this number."""
    row = connection.execute(
        """
        SELECT state::text, origin::text, check_value, fingerprint,
               array(SELECT root_key FROM keywright.master_key_wrap AS wrap
                      WHERE wrap.master_key_id = master_key.master_key_id ORDER BY root_key),
               array(SELECT wrapped_key FROM keywright.master_key_wrap AS wrap
                      WHERE wrap.master_key_id = master_key.master_key_id ORDER BY root_key)
          FROM keywright.master_key
         WHERE organization_id = %(organization_id)s AND key_number = %(number)s
        """,
        {"organization_id": organization_id, "number": number},
    ).fetchone()
    if row is None:
        return None
    return StoredKey(
        organization_id=organization_id,
        number=number,
        state=State(row[0]),
        origin=Origin(row[1]),
        check_value=row[2],
        fingerprint=row[3],
        wraps=tuple(
            Wrap(root_key=root_key, wrapped_key=wrapped_key)
            for root_key, wrapped_key in zip(row[4], row[5], strict=True)
        ),
    )


def insert_key(
    connection: Connection,
    *,
    organization_id: int,
    number: int,
    check_value: bytes,
    fingerprint: bytes,
    origin: Origin,
    wraps: Mapping[str, bytes],
    actor: str,
    reason: str,
) -> bool:
    """Insert a pre-active key with its wraps by root key; False if the number is taken.

    Raises:
        ConflictError: the same secret was a master key before, here or elsewhere.
        InvalidRequestError: ``actor`` or ``reason`` is no proper one.
    """
    _check_words(actor, reason)
    try:
        with connection.transaction():
            row = connection.execute(
                """
                WITH made AS (
                    INSERT INTO keywright.master_key
                           (organization_id, key_number, state, state_actor, state_reason, origin,
                            check_value, fingerprint)
                    VALUES (%(organization_id)s, %(number)s, 'pre_active', %(actor)s, %(reason)s,
                            %(origin)s, %(check_value)s, %(fingerprint)s)
                        ON CONFLICT ON CONSTRAINT key_numbers_are_never_reused DO NOTHING
                    RETURNING master_key_id
                ), wrapped AS (
                    INSERT INTO keywright.master_key_wrap (master_key_id, root_key, wrapped_key)
                    SELECT master_key_id, root_key, wrapped_key
                      FROM made,
                           unnest(%(root_keys)s::text[], %(wrapped_keys)s::bytea[])
                           AS wraps (root_key, wrapped_key)
                )
                SELECT master_key_id FROM made
                """,
                {
                    "organization_id": organization_id,
                    "number": number,
                    "actor": actor,
                    "reason": reason,
                    "origin": origin.value,
                    "check_value": check_value,
                    "fingerprint": fingerprint,
                    "root_keys": list(wraps),
                    "wrapped_keys": list(wraps.values()),
                },
            ).fetchone()
    except psycopg.errors.UniqueViolation:
        raise ConflictError(
            "The secret was a master key before, and each is accepted once; bring a new one."
        ) from None
    return row is not None


def move_key(
    connection: Connection,
    *,
    organization_id: int,
    number: int,
    to: State,
    actor: str,
    reason: str,
    only_from: Collection[State] = tuple(State),
) -> None:
    """Move a key to another state; one that is destroyed loses all its wraps with it.

    Raises:
        UnknownKeyError: there is none of this number.
        ConflictError: it is in none of the states ``only_from``, or may not go from there.
        InvalidRequestError: ``actor`` or ``reason`` is no proper one.
    """
    _check_words(actor, reason)
    try:
        with connection.transaction():
            master_key_id, state = _lock_key(connection, organization_id, number)
            if state is to or state not in only_from:
                raise ConflictError(f"Master key {number} is {state}, and cannot become {to}.")
            connection.execute(
                """
                UPDATE keywright.master_key
                   SET state = %(to)s, state_actor = %(actor)s, state_reason = %(reason)s,
                       destroy_at = CASE WHEN NOT %(is_destroyed)s THEN destroy_at END
                 WHERE master_key_id = %(master_key_id)s
                """,
                {
                    "master_key_id": master_key_id,
                    "to": to.value,
                    "is_destroyed": to is State.DESTROYED,
                    "actor": actor,
                    "reason": reason,
                },
            )
            if to is State.DESTROYED:
                connection.execute(
                    """
                    DELETE FROM keywright.master_key_wrap WHERE master_key_id = %(master_key_id)s
                    """,
                    {"master_key_id": master_key_id},
                )
    except (
        psycopg.errors.ForeignKeyViolation,
        psycopg.errors.UniqueViolation,
        psycopg.errors.CheckViolation,
    ) as error:
        raise ConflictError(_refusal(number, to, error)) from None


def add_wraps(
    connection: Connection, *, organization_id: int, number: int, wraps: Mapping[str, bytes]
) -> None:
    """Add wraps by root key to a key; one that is there already stays as it is."""
    connection.execute(
        """
        INSERT INTO keywright.master_key_wrap (master_key_id, root_key, wrapped_key)
        SELECT master_key_id, root_key, wrapped_key
          FROM keywright.master_key,
               unnest(%(root_keys)s::text[], %(wrapped_keys)s::bytea[])
               AS wraps (root_key, wrapped_key)
         WHERE organization_id = %(organization_id)s AND key_number = %(number)s
            ON CONFLICT (master_key_id, root_key) DO NOTHING
        """,
        {
            "organization_id": organization_id,
            "number": number,
            "root_keys": list(wraps),
            "wrapped_keys": list(wraps.values()),
        },
    )


def _lock_key(connection: Connection, organization_id: int, number: int) -> tuple[int, State]:
    """Lock a key; return its id and state.

    The lock is a statement of its own, so that those after it see what was committed while it
    waited: a wrap that somebody added must go, too, when the key is destroyed.
    """
    row = connection.execute(
        """
        SELECT master_key_id, state::text FROM keywright.master_key
         WHERE organization_id = %(organization_id)s AND key_number = %(number)s
           FOR NO KEY UPDATE
        """,
        {"organization_id": organization_id, "number": number},
    ).fetchone()
    if row is None:
        raise UnknownKeyError(f"There is no master key {number}; `keywright key list` shows them.")
    return int(row[0]), State(row[1])


def _check_words(actor: str, reason: str) -> None:
    if not (actor.isprintable() and 1 <= len(actor) <= _LONGEST_ACTOR):
        raise InvalidRequestError(f"actor: 1 to {_LONGEST_ACTOR} printable characters.")
    if not (reason.isprintable() and 1 <= len(reason) <= _LONGEST_REASON):
        raise InvalidRequestError(f"reason: 1 to {_LONGEST_REASON} printable characters.")


def _refusal(number: int, to: State, error: psycopg.Error) -> str:
    """Say what the constraint that refused a move says."""
    constraint = error.diag.constraint_name
    if constraint == "one_active_key_per_organization":
        return f"Master key {number} cannot become active beside another; rotate instead."
    if constraint == "an_active_key_gives_way_to_another":
        return f"Master key {number} is active, and gives way only to another; rotate instead."
    if constraint == "active_keys_are_not_to_be_destroyed":
        return f"Master key {number} is to be destroyed; cancel that first."
    return f"Master key {number} cannot become {to} from the state it is in."
