"""Values that a run could not open: noted with the reason, and left as they are. SQL only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from workers.database.pool import Connection
from workers.encryption.bulk import FaultClass
from workers.errors import PermanentError


class TooManyUnopenedError(PermanentError):
    """So many values do not open that a key must be missing; a person has to look."""

    code = "too-many-unopened"
    title = "Too many values do not open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unopened:
    """A value that did not open: the key of its row in text, and a hash of what is stored."""

    field_id: UUID
    row_key: tuple[str, ...]
    fault_class: FaultClass
    key_number: int | None
    value_hash: bytes


def quarantine_values(
    connection: Connection,
    values: Sequence[Unopened],
    *,
    organization_id: int,
    run_id: int,
    pass_number: int,
) -> None:
    """Note values that did not open; those known already are noted as seen again."""
    connection.cursor().executemany(
        """
        INSERT INTO keywright.quarantine AS known
               (field_id, organization_id, row_key, class, key_number, value_hash, first_seen_at,
                first_run_id, last_seen_at, last_run_id, last_pass)
        VALUES (%(field_id)s, %(organization_id)s, %(row_key)s,
                %(fault_class)s::keywright.quarantine_class, %(key_number)s, %(value_hash)s,
                clock_timestamp(), %(run_id)s, clock_timestamp(), %(run_id)s, %(pass_number)s)
            ON CONFLICT ON CONSTRAINT a_value_is_quarantined_once DO UPDATE
           SET organization_id = excluded.organization_id,
               -- Where a value was copied from is not seen any more once that has been rewritten.
               class = CASE WHEN known.class = 'moved_row' AND excluded.class = 'tag_mismatch'
                                 AND known.value_hash = excluded.value_hash
                            THEN known.class ELSE excluded.class END,
               key_number = excluded.key_number, value_hash = excluded.value_hash,
               last_seen_at = excluded.last_seen_at, last_run_id = excluded.last_run_id,
               last_pass = excluded.last_pass, resolved_at = NULL,
               first_seen_at = CASE WHEN known.resolved_at IS NULL THEN known.first_seen_at
                               ELSE excluded.first_seen_at END,
               first_run_id = CASE WHEN known.resolved_at IS NULL THEN known.first_run_id
                              ELSE excluded.first_run_id END
        """,
        [
            {
                "field_id": each.field_id,
                "organization_id": organization_id,
                "row_key": list(each.row_key),
                "fault_class": each.fault_class,
                "key_number": each.key_number,
                "value_hash": each.value_hash,
                "run_id": run_id,
                "pass_number": pass_number,
            }
            for each in values
        ],
    )


# What waited for a key that was imported or reinstated meanwhile is to be tried again.
_NOTHING_HAS_CHANGED = """resolved_at IS NULL AND NOT (
               class IN ('unknown_key', 'destroyed_key', 'suspended_key')
               AND EXISTS (SELECT FROM keywright.master_key
                            WHERE master_key.organization_id = quarantine.organization_id
                              AND master_key.key_number = quarantine.key_number
                              AND master_key.state IN ('active', 'archived', 'compromised')))"""


def open_in_field(
    connection: Connection, organization_id: int, field_id: UUID
) -> tuple[list[list[str]], list[bytes]]:
    """Return the row keys and hashes of a field's values that another try would not open either."""
    rows = connection.execute(
        f"""
        SELECT row_key, value_hash FROM keywright.quarantine
         WHERE organization_id = %(organization_id)s AND field_id = %(field_id)s
           AND {_NOTHING_HAS_CHANGED}
        """,
        {"organization_id": organization_id, "field_id": field_id},
    ).fetchall()
    return [row[0] for row in rows], [row[1] for row in rows]


def release_unseen(
    connection: Connection,
    *,
    organization_id: int,
    field_ids: Sequence[UUID],
    run_id: int,
    pass_number: int,
) -> int:
    """Release what this pass, which looked at every value, did not come upon any more."""
    return connection.execute(
        """
        UPDATE keywright.quarantine SET resolved_at = clock_timestamp()
         WHERE organization_id = %(organization_id)s AND field_id = ANY (%(field_ids)s)
           AND resolved_at IS NULL
           AND (last_run_id, last_pass) <> (%(run_id)s, %(pass_number)s)
        """,
        {
            "organization_id": organization_id,
            "field_ids": list(field_ids),
            "run_id": run_id,
            "pass_number": pass_number,
        },
    ).rowcount


def count_by_class(
    connection: Connection, organization_id: int, field_ids: Sequence[UUID]
) -> dict[str, int]:
    """Return how many values of some fields are in quarantine, by class."""
    rows = connection.execute(
        """
        SELECT class::text, count(*) FROM keywright.quarantine
         WHERE organization_id = %(organization_id)s AND field_id = ANY (%(field_ids)s)
           AND resolved_at IS NULL
         GROUP BY class ORDER BY class
        """,
        {"organization_id": organization_id, "field_ids": list(field_ids)},
    ).fetchall()
    return dict(rows)


def count_seen(connection: Connection, run_id: int) -> int:
    """Return how many values this run has come upon that another try would not open either."""
    row: Any = connection.execute(
        "SELECT count(*) FROM keywright.quarantine"
        f" WHERE last_run_id = %(run_id)s AND {_NOTHING_HAS_CHANGED}",
        {"run_id": run_id},
    ).fetchone()
    return int(row[0])


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """A value in quarantine, for people."""

    field_name: str
    row_key: list[str]
    fault_class: str
    key_number: int | None
    first_seen_at: datetime
    last_seen_at: datetime
    last_run_id: int


def list_quarantined(
    connection: Connection, organization_id: int, *, limit: int = 100
) -> list[Quarantined]:
    """Return an organization's values in quarantine, by field and row."""
    with connection.cursor(row_factory=class_row(Quarantined)) as cursor:
        return cursor.execute(
            """
            SELECT field_name, row_key, class::text AS fault_class, key_number, first_seen_at,
                   last_seen_at, last_run_id
              FROM keywright.quarantine JOIN keywright.encrypted_field USING (field_id)
             WHERE quarantine.organization_id = %(organization_id)s AND resolved_at IS NULL
             ORDER BY field_name, row_key LIMIT %(limit)s
            """,
            {"organization_id": organization_id, "limit": limit},
        ).fetchall()
