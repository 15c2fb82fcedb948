"""Links what was recorded: a moment after it was committed, by one process at a time. SQL only.

Who writes an entry waits for nobody. Its link comes later, so the order of links is the order in
which entries were found, and a slow transaction's come after those of quicker ones.
"""

from collections.abc import Callable
from uuid import UUID

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import set_json_loads

from workers.audit.chain import Entry, Head, genesis, link_hash, read_json
from workers.database.pool import Connection, Pool

AT_A_TIME = 1000
_LINKING_LOCK = 0x61756474  # any number that nothing else locks: "audt"

ENTRY = """entry.entry_id, occurred_at, actor, door, database_role, job_id, organization_id, action,
           object, before, after, reason"""


def linking_step(pool: Pool) -> Callable[[], int]:
    """Return the step that links some entries; 0 also while another process does."""

    def step() -> int:
        with pool.connection() as connection:
            return link_some(connection)

    return step


def link_some(connection: Connection, *, limit: int = AT_A_TIME) -> int:
    """Link up to ``limit`` entries that have none, in one transaction; return how many."""
    # Looked at without the lock: mostly there is nothing to do.
    waiting = connection.execute("SELECT FROM keywright.audit_unlinked LIMIT 1").rowcount
    if not waiting:
        return 0
    with connection.transaction():
        row = connection.execute(
            "SELECT pg_try_advisory_xact_lock(%(lock)s)", {"lock": _LINKING_LOCK}
        ).fetchone()
        if row is None or not row[0]:
            return 0
        head = read_head(connection)
        position, before = head.position, head.hash
        with connection.cursor(row_factory=class_row(Entry)) as cursor:
            set_json_loads(read_json, cursor)
            entries = cursor.execute(
                f"""
                SELECT {ENTRY}
                  FROM keywright.audit_unlinked
                  JOIN keywright.audit_entry AS entry USING (entry_id)
                 ORDER BY entry_id
                 LIMIT %(limit)s
                """,
                {"limit": limit},
            ).fetchall()
        hashes: list[bytes] = []
        for number, entry in enumerate(entries, start=position + 1):
            before = link_hash(before, number, entry.as_json())
            hashes.append(before)
        connection.execute(
            """
            WITH linked AS (
                INSERT INTO keywright.audit_link (position, entry_id, hash)
                SELECT %(position)s + number, entry_id, hash
                  FROM unnest(%(entry_ids)s::bigint[], %(hashes)s::bytea[]) WITH ORDINALITY
                       AS link (entry_id, hash, number)
                RETURNING entry_id
            )
            DELETE FROM keywright.audit_unlinked USING linked
             WHERE audit_unlinked.entry_id = linked.entry_id
            """,
            {
                "position": position,
                "entry_ids": [entry.entry_id for entry in entries],
                "hashes": hashes,
            },
        )
    return len(entries)


def link_what_waits(connection: Connection) -> None:
    """Link all that waits, as far as this role may and no other process is at it."""
    try:
        while link_some(connection):
            pass
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
        # Who may only read sees what the scheduler has linked.
        return


def read_head(connection: Connection) -> Head:
    """Return the last link; at position 0 where there is none."""
    row = connection.execute(
        "SELECT position, hash FROM keywright.audit_link ORDER BY position DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return Head(position=0, hash=genesis(installation_id(connection)))
    return Head(position=row[0], hash=row[1])


def installation_id(connection: Connection) -> UUID:
    """Return the id of this installation, with which its chain begins."""
    row = connection.execute("SELECT installation_id FROM keywright.installation").fetchone()
    assert row is not None
    found: UUID = row[0]
    return found
