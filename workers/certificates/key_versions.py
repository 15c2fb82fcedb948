"""The versions of a certificate whose private keys are here, and signing one of them. SQL only."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from workers.certificates.locking import no_such_certificate
from workers.certificates.reading.found import FoundCertificate
from workers.certificates.signing.decision import KeyVersion
from workers.database.pool import Connection


@dataclass(frozen=True, kw_only=True)
class KeyOwner:
    """A certificate that is to be signed, or was."""

    certificate_id: int
    unique_name: str
    kind: str
    made_from: dict[str, Any] | None


def load_owner(connection: Connection, organization_id: int, unique_name: str) -> KeyOwner:
    """Return the certificate called ``unique_name``, whatever its case.

    Raises:
        NotFoundError: there is none.
    """
    with connection.cursor(row_factory=class_row(KeyOwner)) as cursor:
        owner = cursor.execute(
            """
            SELECT certificate_id, unique_name, kind::text AS kind, made_from
              FROM keywright.certificate
             WHERE organization_id = %(organization_id)s AND deleted_at IS NULL
               AND lower(unique_name) = lower(%(unique_name)s)
            """,
            {"organization_id": organization_id, "unique_name": unique_name},
        ).fetchone()
    if owner is None:
        raise no_such_certificate(unique_name)
    return owner


def load_key_versions(connection: Connection, certificate_id: int) -> list[KeyVersion]:
    """Return the versions of a certificate whose private keys are here, in their order."""
    rows = connection.execute(
        """
        SELECT version_id, version_number, public_key_hash, key_algorithm, key_size,
               certificate_der, chain_der, csr_der
          FROM keywright.certificate_version
         WHERE certificate_id = %(certificate_id)s
           AND private_key IS NOT NULL AND public_key_hash IS NOT NULL
         ORDER BY version_number
        """,
        {"certificate_id": certificate_id},
    ).fetchall()
    return [
        KeyVersion(
            version_id=row[0],
            version_number=row[1],
            public_key_hash=row[2],
            key_algorithm=row[3],
            key_size=row[4],
            certificate_der=row[5],
            chain_der=tuple(row[6]),
            csr_der=row[7],
        )
        for row in rows
    ]


def sign_version(
    connection: Connection, version_id: int, found: FoundCertificate, *, now: datetime
) -> int:
    """Give a version that was not signed its certificate and chain; return its number.

    Where another version was signed meanwhile, this one becomes the newest: that is what it is.
    """
    row = connection.execute(
        """
        UPDATE keywright.certificate_version AS version
           SET version_number = CASE WHEN version_number > others.signed THEN version_number
                                     ELSE others.highest + 1 END,
               not_before = %(not_before)s, not_after = %(not_after)s,
               leaf_not_after = %(leaf_not_after)s, ends_first = %(ends_first)s,
               serial = %(serial)s, fingerprint = %(fingerprint)s, subject = %(subject)s,
               issuer = %(issuer)s, certificate_der = %(der)b, chain_der = %(chain)b::bytea[],
               known_since = %(now)s
          FROM (SELECT max(every.version_number) AS highest,
                       coalesce(max(every.version_number)
                                    FILTER (WHERE every.not_after IS NOT NULL), 0) AS signed
                  FROM keywright.certificate_version AS every
                  JOIN keywright.certificate_version AS this USING (certificate_id)
                 WHERE this.version_id = %(version_id)s) AS others
         WHERE version.version_id = %(version_id)s AND version.not_after IS NULL
        RETURNING version.version_number
        """,
        {
            "version_id": version_id,
            "not_before": found.not_before,
            "not_after": found.not_after,
            "leaf_not_after": found.leaf_not_after,
            "ends_first": found.ends_first,
            "serial": found.serial,
            "fingerprint": found.fingerprint,
            "subject": found.subject,
            "issuer": found.issuer,
            "der": found.der,
            "chain": list(found.chain),
            "now": now,
        },
    ).fetchone()
    assert row is not None  # its row is locked, and it was not signed
    return int(row[0])


def owners_of_keys(
    connection: Connection, organization_id: int, key_hashes: Collection[bytes]
) -> list[str]:
    """Return the unique names of the certificates that have one of these keys."""
    rows = connection.execute(
        """
        SELECT DISTINCT unique_name
          FROM keywright.certificate
          JOIN keywright.certificate_version USING (organization_id, certificate_id)
         WHERE organization_id = %(organization_id)s AND deleted_at IS NULL
           AND public_key_hash = ANY (%(hashes)b::bytea[]) AND private_key IS NOT NULL
         ORDER BY unique_name
        """,
        {"organization_id": organization_id, "hashes": list(key_hashes)},
    ).fetchall()
    return [row[0] for row in rows]


def places_with_others(connection: Connection, version_id: int) -> tuple[str, ...]:
    """Return the places that have another version of the same certificate."""
    rows = connection.execute(
        """
        SELECT place_kind || ': ' || place
          FROM keywright.usage
          JOIN keywright.certificate_version AS version USING (version_id)
         WHERE version.version_id <> %(version_id)s
           AND certificate_id = (SELECT certificate_id FROM keywright.certificate_version
                                  WHERE version_id = %(version_id)s)
         ORDER BY 1
        """,
        {"version_id": version_id},
    ).fetchall()
    return tuple(row[0] for row in rows)
