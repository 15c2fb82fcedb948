"""Announcements of what became of certificates, in the transaction of the change. SQL only."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from workers.database.pool import Connection


def announce(
    connection: Connection,
    *,
    kind: str,
    organization_id: int,
    subject: str,
    data: Mapping[str, Any],
) -> None:
    """Say what happened: ``kind`` is past tense, ``subject`` what it happened to.

    ``data`` holds ids, names, dates and numbers only.
    """
    connection.execute(
        """
        INSERT INTO keywright.announcement (kind, organization_id, subject, data)
        VALUES (%(kind)s, %(organization_id)s, %(subject)s, %(data)s)
        """,
        {
            "kind": kind,
            "organization_id": organization_id,
            "subject": subject,
            "data": Jsonb(dict(data)),
        },
    )


def announce_many(
    connection: Connection,
    *,
    organization_id: int,
    subject: str,
    happened: Sequence[tuple[str, Mapping[str, Any]]],
) -> None:
    """Say that several things happened to one subject: each a ``kind`` with its ``data``."""
    connection.execute(
        """
        INSERT INTO keywright.announcement (kind, organization_id, subject, data)
        SELECT kind, %(organization_id)s, %(subject)s, data
          FROM unnest(%(kinds)s::text[], %(data)s::jsonb[]) WITH ORDINALITY
               AS happened (kind, data, position)
         ORDER BY position
        """,
        {
            "organization_id": organization_id,
            "subject": subject,
            "kinds": [kind for kind, _ in happened],
            "data": [Jsonb(dict(data)) for _, data in happened],
        },
    )
