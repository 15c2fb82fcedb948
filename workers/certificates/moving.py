"""Moving many usages at once to another version, in the documented order of locks. SQL only."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from workers.database.pool import Connection


@dataclass(frozen=True, kw_only=True)
class LockedUsage:
    """A usage that nobody else changes until the transaction ends."""

    usage_id: int
    place_kind: str
    place: str
    version_id: int


def lock_usages(
    connection: Connection,
    *,
    organization_id: int,
    version_ids: Collection[int] = (),
    place_kind: str | None = None,
    places: Collection[str] = (),
    skip_locked: bool = False,
) -> list[LockedUsage]:
    """Lock the usages of these versions, and those of these places; in the order of their ids.

    One that was moved to such a version while we waited may be missing. With ``skip_locked`` we do
    not wait: those that somebody else holds are missing.
    """
    with connection.cursor(row_factory=class_row(LockedUsage)) as cursor:
        return cursor.execute(
            _LOCK_FREE_USAGES if skip_locked else _LOCK_USAGES,
            {
                "organization_id": organization_id,
                "version_ids": list(version_ids),
                "place_kind": place_kind,
                "places": list(places),
            },
        ).fetchall()


def lock_certificates_of(connection: Connection, version_ids: Collection[int]) -> list[int]:
    """Lock the certificates of these versions, in the order of their ids, which are returned."""
    rows = connection.execute(
        """
        SELECT certificate_id FROM keywright.certificate
         WHERE certificate_id IN (SELECT certificate_id FROM keywright.certificate_version
                                   WHERE version_id = ANY (%(version_ids)s))
         ORDER BY certificate_id
           FOR NO KEY UPDATE
        """,
        {"version_ids": list(version_ids)},
    ).fetchall()
    return [row[0] for row in rows]


def move_usages(
    connection: Connection, usage_ids: Sequence[int], *, to_version_id: int, from_: Sequence[int]
) -> None:
    """Let usages that the caller has locked have another version; ``from_`` are those they leave.

    The caller holds the locks of all certificates concerned. What is told of the versions follows.
    """
    # In the order in which a scan locks the versions that are due.
    connection.execute(
        """
        SELECT version_id FROM keywright.certificate_version
         WHERE version_id = ANY (%(version_ids)s)
         ORDER BY next_notice_at, version_id
           FOR NO KEY UPDATE
        """,
        {"version_ids": [to_version_id, *from_]},
    )
    connection.execute(
        """
        UPDATE keywright.usage SET version_id = %(version_id)s
         WHERE usage_id = ANY (%(usage_ids)s) AND version_id <> %(version_id)s
        """,
        {"version_id": to_version_id, "usage_ids": list(usage_ids)},
    )


_LOCK_USAGES = """
SELECT usage_id, place_kind, place, version_id
  FROM keywright.usage
 WHERE organization_id = %(organization_id)s
   AND (version_id = ANY (%(version_ids)s::bigint[])
        OR place_kind = %(place_kind)s::text AND place = ANY (%(places)s::text[]))
 ORDER BY usage_id
   FOR UPDATE
"""
_LOCK_FREE_USAGES = _LOCK_USAGES + "SKIP LOCKED"
