"""Reading the record: for people page by page, for verification as a stream. SQL only."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from psycopg.rows import class_row, dict_row
from psycopg.types.json import set_json_loads

from workers.audit.chain import Entry, read_json
from workers.audit.linking import ENTRY
from workers.audit.verifying import MOST_FAULTS, Fault, Link
from workers.database.pool import Connection

_FETCHED_AT_A_TIME = 2000
_UNLINKED_SECONDS = 60


def list_entries(
    connection: Connection,
    *,
    organization_id: int | None = None,
    actor: str | None = None,
    object_name: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Entry]:
    """Return up to ``limit`` entries, newest first; ``action`` may end with ``.*``."""
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        set_json_loads(read_json, cursor)
        return cursor.execute(
            f"""
            SELECT {ENTRY} FROM keywright.audit_entry AS entry
             WHERE (%(organization_id)s::bigint IS NULL OR organization_id = %(organization_id)s)
               AND (%(actor)s::text IS NULL OR actor = %(actor)s)
               AND (%(object)s::text IS NULL OR object = %(object)s)
               AND (%(action)s::text IS NULL OR action = %(action)s
                    OR right(%(action)s, 2) = '.*'
                       AND starts_with(action, left(%(action)s, -1)))
               AND (%(since)s::timestamptz IS NULL OR occurred_at >= %(since)s)
               AND (%(until)s::timestamptz IS NULL OR occurred_at < %(until)s)
               AND (%(before)s::bigint IS NULL OR entry_id < %(before)s)
             ORDER BY entry_id DESC
             LIMIT %(limit)s
            """,
            {
                "organization_id": organization_id,
                "actor": actor,
                "object": object_name,
                "action": action,
                "since": since,
                "until": until,
                "before": before,
                "limit": limit,
            },
        ).fetchall()


@contextmanager
def stream_links(connection: Connection, *, after: int) -> Iterator[Iterator[Link]]:
    """Yield the links after a position with their entries, in memory a few at a time."""
    with (
        connection.transaction(),
        connection.cursor("links", row_factory=dict_row) as cursor,
    ):
        set_json_loads(read_json, cursor)
        cursor.itersize = _FETCHED_AT_A_TIME
        cursor.execute(
            f"""
            SELECT position, hash, link.entry_id AS link_entry_id, {ENTRY}
              FROM keywright.audit_link AS link
              LEFT JOIN keywright.audit_entry AS entry USING (entry_id)
             WHERE position > %(after)s
             ORDER BY position
            """,
            {"after": after},
        )
        yield map(_link, cursor)


def hash_at(connection: Connection, position: int) -> bytes | None:
    """Return the hash of the link at a position, if there is one."""
    row = connection.execute(
        "SELECT hash FROM keywright.audit_link WHERE position = %(position)s",
        {"position": position},
    ).fetchone()
    return row and bytes(row[0])


def count_links(connection: Connection) -> int:
    """Return how long the chain is."""
    row = connection.execute(
        "SELECT coalesce(max(position), 0) FROM keywright.audit_link"
    ).fetchone()
    assert row is not None
    return int(row[0])


def oldest_unlinked_at(connection: Connection) -> datetime | None:
    """Return since when the entry that came first has waited for its link; None: none waits."""
    row = connection.execute(
        """
        SELECT occurred_at FROM keywright.audit_entry JOIN keywright.audit_unlinked USING (entry_id)
         ORDER BY entry_id LIMIT 1
        """
    ).fetchone()
    return None if row is None else row[0]


def unlinked_faults(connection: Connection) -> list[Fault]:
    """Return the entries that should have a link by now, as many as are shown."""
    rows = connection.execute(
        """
        SELECT entry_id FROM keywright.audit_entry AS entry
         WHERE NOT EXISTS (SELECT FROM keywright.audit_link AS link
                            WHERE link.entry_id = entry.entry_id)
           AND occurred_at < now() - make_interval(secs => %(seconds)s)
         ORDER BY entry_id
         LIMIT %(limit)s
        """,
        {"seconds": _UNLINKED_SECONDS, "limit": MOST_FAULTS},
    ).fetchall()
    return [
        Fault(
            position=None,
            entry_id=row[0],
            fault="it has no link: its link was removed, or no scheduler runs",
        )
        for row in rows
    ]


def _link(row: dict[str, Any]) -> Link:
    position, hash_, entry_id = row.pop("position"), row.pop("hash"), row.pop("link_entry_id")
    entry = None if row["entry_id"] is None else Entry(**row).as_json()
    return Link(position=position, entry_id=entry_id, hash=bytes(hash_), entry=entry)
