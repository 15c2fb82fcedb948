"""Announcements as they are read: by the relay, and by whoever catches up. SQL only."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from workers.database.pool import Connection
from workers.errors import NotFoundError


@dataclass(frozen=True, kw_only=True)
class Announced:
    """One announcement, with what a message needs besides."""

    sequence: int
    event_id: UUID
    kind: str
    organization_id: int | None
    organization: str | None
    subject: str
    data: dict[str, Any]
    occurred_at: datetime


_COLUMNS = """announcement_id AS sequence, event_id, kind, announcement.organization_id,
              organization.name AS organization, subject, data, occurred_at
         FROM keywright.announcement
         LEFT JOIN keywright.organization USING (organization_id)"""


def installation_id(connection: Connection) -> UUID:
    """Return what tells this installation from any other."""
    row = connection.execute("SELECT installation_id FROM keywright.installation").fetchone()
    assert row is not None
    found: UUID = row[0]
    return found


def unrelayed(
    connection: Connection, *, limit: int, leave_out: Collection[int] = ()
) -> list[Announced]:
    """Return the first announcements that the broker does not have, in order.

    Those of the organizations in ``leave_out`` are passed over; 0 stands for none.
    """
    with connection.cursor(row_factory=class_row(Announced)) as cursor:
        return cursor.execute(
            f"""
            SELECT {_COLUMNS}
             WHERE relayed_at IS NULL AND announcement_id <= keywright.settled_announcement()
               AND coalesce(announcement.organization_id, 0) <> ALL (%(leave_out)s)
             ORDER BY announcement_id
             LIMIT %(limit)s
            """,
            {"limit": limit, "leave_out": list(leave_out)},
        ).fetchall()


def mark_relayed(connection: Connection, sequences: Sequence[int]) -> None:
    """Note that the broker has these announcements."""
    connection.execute(
        """
        UPDATE keywright.announcement SET relayed_at = clock_timestamp()
         WHERE announcement_id = ANY (%(sequences)s) AND relayed_at IS NULL
        """,
        {"sequences": list(sequences)},
    )


def settled_until(connection: Connection) -> int:
    """Return the number up to which everything is there."""
    row = connection.execute("SELECT keywright.settled_announcement()").fetchone()
    assert row is not None
    return int(row[0])


def announced_after(
    connection: Connection,
    after: int,
    *,
    limit: int,
    kind: str | None = None,
    organization: str | None = None,
) -> list[Announced]:
    """Return what was announced after number ``after``, in order; nothing is left out before it.

    Raises:
        NotFoundError: there is no organization of that name.
    """
    return _select(
        connection,
        "announcement_id > %(after)s",
        "announcement_id",
        {"after": after, "limit": limit, "kind": kind},
        organization,
    )


def latest(
    connection: Connection,
    *,
    limit: int,
    kind: str | None = None,
    organization: str | None = None,
) -> list[Announced]:
    """Return what was announced last, in order.

    Raises:
        NotFoundError: there is no organization of that name.
    """
    found = _select(
        connection, "true", "announcement_id DESC", {"limit": limit, "kind": kind}, organization
    )
    return found[::-1]


def _select(
    connection: Connection,
    condition: str,
    order: str,
    values: dict[str, Any],
    organization: str | None,
) -> list[Announced]:
    organization_id = None if organization is None else _organization(connection, organization)
    with connection.cursor(row_factory=class_row(Announced)) as cursor:
        return cursor.execute(
            f"""
            SELECT {_COLUMNS}
             WHERE {condition} AND announcement_id <= keywright.settled_announcement()
               AND (%(kind)s::text IS NULL OR kind = %(kind)s)
               AND (%(organization_id)s::bigint IS NULL
                    OR announcement.organization_id = %(organization_id)s)
             ORDER BY {order}
             LIMIT %(limit)s
            """,
            {**values, "organization_id": organization_id},
        ).fetchall()


def _organization(connection: Connection, name: str) -> int:
    row = connection.execute(
        "SELECT organization_id FROM keywright.organization WHERE lower(name) = lower(%(name)s)",
        {"name": name},
    ).fetchone()
    if row is None:
        raise NotFoundError(
            "There is no organization of that name; `keywright organization list` shows them."
        )
    return int(row[0])
