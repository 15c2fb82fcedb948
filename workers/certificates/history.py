"""What became of a certificate from version to version: rule 17. SQL only."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from workers.certificates.key_versions import load_owner
from workers.database.pool import Connection


@dataclass(frozen=True, kw_only=True)
class PastVersion:
    """A version; ``same_key_as`` is the number of the first one with the same key.

    ``state`` is ``unusable`` (not signed yet), ``replaced``, ``not_yet_valid``, ``valid`` or
    ``expired``. ``not_after`` is the end that counts: where it is that of an issuer, ``ends_first``
    names that one and ``leaf_not_after`` is its own. ``known_since`` is when it was signed here, or
    taken in; ``usages`` counts the places that have it.
    """

    version_id: int
    version_number: int
    state: str
    same_key_as: int | None
    not_before: datetime | None
    not_after: datetime | None
    leaf_not_after: datetime | None
    ends_first: str | None
    serial: str | None
    fingerprint: bytes | None
    issuer: str | None
    chain_length: int
    known_since: datetime
    replaced_at: datetime | None
    usages: int


def certificate_history(
    connection: Connection, *, organization_id: int, unique_name: str, now: datetime
) -> list[PastVersion]:
    """Return all versions of a certificate, newest first.

    Raises:
        NotFoundError: there is no such certificate.
    """
    owner = load_owner(connection, organization_id, unique_name)
    with connection.cursor(row_factory=class_row(PastVersion)) as cursor:
        return cursor.execute(
            """
            SELECT version_id, version_number,
                   CASE WHEN not_after IS NULL THEN 'unusable'
                        WHEN replaced_at IS NOT NULL THEN 'replaced'
                        WHEN not_after < %(now)s THEN 'expired'
                        WHEN not_before > %(now)s THEN 'not_yet_valid'
                        ELSE 'valid' END AS state,
                   CASE WHEN public_key_hash IS NOT NULL
                        THEN min(version_number) OVER (PARTITION BY public_key_hash)
                        END AS same_key_as,
                   not_before, not_after, leaf_not_after, ends_first, serial, fingerprint, issuer,
                   cardinality(chain_der) AS chain_length, known_since, replaced_at,
                   (SELECT count(*) FROM keywright.usage
                     WHERE usage.version_id = version.version_id) AS usages
              FROM keywright.certificate_version AS version
             WHERE certificate_id = %(certificate_id)s
             ORDER BY version_number DESC
            """,
            {"certificate_id": owner.certificate_id, "now": now},
        ).fetchall()
