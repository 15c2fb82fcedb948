"""Master keys for people to look at. SQL only."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from workers.database.pool import Connection
from workers.keys.states import Origin, State, UnknownKeyError


@dataclass(frozen=True, kw_only=True)
class KeyDetails:
    """A master key for people to look at; ``root_keys`` are those that it is wrapped under."""

    organization_id: int
    organization: str
    number: int
    state: State
    state_actor: str
    state_reason: str
    state_since: datetime
    origin: Origin
    check_value: bytes
    fingerprint: bytes
    uses_leased: int
    destroy_at: datetime | None
    created_at: datetime
    root_keys: list[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", State(self.state))
        object.__setattr__(self, "origin", Origin(self.origin))


@dataclass(frozen=True, kw_only=True)
class Move:
    """A line of a key's history; ``from_state`` None means that it was made."""

    moved_at: datetime
    from_state: State | None
    to_state: State
    actor: str
    reason: str

    def __post_init__(self) -> None:
        former = None if self.from_state is None else State(self.from_state)
        object.__setattr__(self, "from_state", former)
        object.__setattr__(self, "to_state", State(self.to_state))


def list_keys(
    connection: Connection, *, organization_id: int | None = None, number: int | None = None
) -> list[KeyDetails]:
    """Return the keys of one organization, or of all, by organization and number."""
    with connection.cursor(row_factory=class_row(KeyDetails)) as cursor:
        return cursor.execute(
            """
            SELECT organization_id, organization.name AS organization, key_number AS number,
                   state::text AS state, state_actor, state_reason, state_since,
                   origin::text AS origin, check_value, fingerprint, uses_leased, destroy_at,
                   master_key.created_at,
                   array(SELECT root_key FROM keywright.master_key_wrap AS wrap
                          WHERE wrap.master_key_id = master_key.master_key_id
                          ORDER BY root_key) AS root_keys
              FROM keywright.master_key
              JOIN keywright.organization USING (organization_id)
             WHERE (%(organization_id)s::bigint IS NULL OR organization_id = %(organization_id)s)
               AND (%(number)s::bigint IS NULL OR key_number = %(number)s)
             ORDER BY lower(organization.name), key_number
            """,
            {"organization_id": organization_id, "number": number},
        ).fetchall()


def show_key(connection: Connection, organization_id: int, number: int) -> KeyDetails:
    """Return one key.

    Raises:
        UnknownKeyError: there is none of this number.
    """
    found = list_keys(connection, organization_id=organization_id, number=number)
    if not found:
        raise UnknownKeyError(f"There is no master key {number}; `keywright key list` shows them.")
    return found[0]


def key_history(connection: Connection, organization_id: int, number: int) -> list[Move]:
    """Return every move of a key, the first one first."""
    with connection.cursor(row_factory=class_row(Move)) as cursor:
        return cursor.execute(
            """
            SELECT moved_at, from_state::text AS from_state, to_state::text AS to_state, actor,
                   reason
              FROM keywright.master_key_history
              JOIN keywright.master_key USING (master_key_id)
             WHERE organization_id = %(organization_id)s AND key_number = %(number)s
             ORDER BY history_id
            """,
            {"organization_id": organization_id, "number": number},
        ).fetchall()
