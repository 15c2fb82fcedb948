"""Announcements in the database: written in the transaction of the change. SQL only."""

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Jsonb

from workers.contract.announcements import BY_KIND, Happened
from workers.database.pool import Connection


class UnknownAnnouncementError(ValueError):
    """Something is announced that does not stand in the catalogue: a fault of ours."""


def announce(
    connection: Connection, happened: Happened, *, organization_id: int, subject: str
) -> None:
    """Say what happened to ``subject``, such as ``certificate/12``."""
    announce_many(connection, [happened], organization_id=organization_id, subject=subject)


def announce_many(
    connection: Connection, happened: Sequence[Happened], *, organization_id: int, subject: str
) -> None:
    """Say, in this order, what happened to one subject.

    Raises:
        UnknownAnnouncementError: one of them is in no catalogue, so nobody could read it.
    """
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
            "kinds": [_kind(each) for each in happened],
            "data": [Jsonb(data_of(each)) for each in happened],
        },
    )


def data_of(happened: Happened) -> dict[str, Any]:
    """Return what an announcement says as it stands in the database and in the message."""
    return happened.model_dump(mode="json", by_alias=True)


def _kind(happened: Happened) -> str:
    known = BY_KIND.get(happened.of_kind)
    if known is None or known.data is not type(happened):
        raise UnknownAnnouncementError(
            f"{type(happened).__name__} stands in no catalogue; add it to"
            " workers.contract.announcements."
        )
    return happened.of_kind
