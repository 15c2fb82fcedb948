"""Certificate versions: storing them, and renewing a certificate with a new one. SQL only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from workers.certificates.locking import lock_certificate, lock_organization
from workers.certificates.reading.found import FoundCertificate
from workers.certificates.recognition import known_certificates
from workers.certificates.silencing import silence_replaced_versions
from workers.database.pool import Connection
from workers.errors import ConflictError


@dataclass(frozen=True, kw_only=True)
class AddedVersion:
    """A new version; ``still_used_in`` are the places that have an older one, and warn on."""

    certificate_id: int
    version_id: int
    version_number: int
    unique_name: str
    still_used_in: tuple[str, ...]


def add_version(
    connection: Connection,
    *,
    organization_id: int,
    unique_name: str,
    found: FoundCertificate,
    now: datetime,
) -> AddedVersion:
    """Renew a certificate: ``found`` becomes its newest version and replaces those before.

    An older version that no place uses is told of no more; one that is still in use keeps warning.

    Raises:
        NotFoundError: there is no such organization or certificate.
        ConflictError: the organization has this very certificate already.
    """
    with connection.transaction():
        lock_organization(connection, organization_id)
        certificate = lock_certificate(connection, organization_id, unique_name)
        known = known_certificates(connection, organization_id, [found.fingerprint])
        if found.fingerprint in known:
            raise ConflictError(
                f"This very certificate is there already, as “{known[found.fingerprint]}”; renew"
                " with the new one."
            )
        certificate_id = certificate.certificate_id
        replaced = connection.execute(
            """
            UPDATE keywright.certificate_version
               SET replaced_at = coalesce(replaced_at, %(now)s)
             WHERE certificate_id = %(certificate_id)s
            RETURNING version_number
            """,
            {"certificate_id": certificate_id, "now": now},
        ).fetchall()
        version_number = 1 + max((row[0] for row in replaced), default=0)
        version_ids = insert_versions(
            connection,
            organization_id=organization_id,
            found={certificate_id: found},
            version_number=version_number,
            known_since=now,
        )
        silence_replaced_versions(connection, certificate_id)
        still_used_in = connection.execute(
            """
            SELECT place_kind || ': ' || place
              FROM keywright.usage
              JOIN keywright.certificate_version USING (version_id)
             WHERE certificate_id = %(certificate_id)s
             ORDER BY 1
            """,
            {"certificate_id": certificate_id},
        ).fetchall()
    return AddedVersion(
        certificate_id=certificate_id,
        version_id=version_ids[certificate_id],
        version_number=version_number,
        unique_name=certificate.unique_name,
        still_used_in=tuple(row[0] for row in still_used_in),
    )


def insert_versions(
    connection: Connection,
    *,
    organization_id: int,
    found: Mapping[int, FoundCertificate],
    version_number: int,
    known_since: datetime,
) -> dict[int, int]:
    """Store a version for each certificate id and schedule its notices; return its version's id."""
    certificates = list(found.values())
    links = [(certificate_id, der) for certificate_id, each in found.items() for der in each.chain]
    rows = connection.execute(
        """
        WITH chain AS (
            SELECT certificate_id, array_agg(der ORDER BY position) AS chain_der
              FROM unnest(%(link_ids)s::bigint[], %(link_ders)b::bytea[])
                   WITH ORDINALITY AS link (certificate_id, der, position)
             GROUP BY certificate_id
        )
        INSERT INTO keywright.certificate_version
               (certificate_id, organization_id, version_number, not_before, not_after,
                leaf_not_after, ends_first, serial, fingerprint, subject, issuer, key_algorithm,
                key_size, certificate_der, chain_der, known_since)
        SELECT certificate_id, %(organization_id)s, %(version_number)s, not_before, not_after,
               leaf_not_after, ends_first, serial, fingerprint, subject, issuer, key_algorithm,
               key_size, der, coalesce(chain_der, '{}'), %(known_since)s
          FROM unnest(%(ids)s::bigint[], %(not_before)s::timestamptz[],
                      %(not_after)s::timestamptz[], %(leaf_not_after)s::timestamptz[],
                      %(ends_first)s::text[], %(serials)s::text[],
                      %(fingerprints)b::bytea[], %(subjects)s::text[], %(issuers)s::text[],
                      %(algorithms)s::text[], %(sizes)s::integer[], %(ders)b::bytea[])
               AS new (certificate_id, not_before, not_after, leaf_not_after, ends_first, serial,
                       fingerprint, subject, issuer, key_algorithm, key_size, der)
          LEFT JOIN chain USING (certificate_id)
        RETURNING certificate_id, version_id
        """,
        {
            "organization_id": organization_id,
            "version_number": version_number,
            "known_since": known_since,
            "ids": list(found),
            "not_before": [each.not_before for each in certificates],
            "not_after": [each.not_after for each in certificates],
            "leaf_not_after": [each.leaf_not_after for each in certificates],
            "ends_first": [each.ends_first for each in certificates],
            "serials": [each.serial for each in certificates],
            "fingerprints": [each.fingerprint for each in certificates],
            "subjects": [each.subject for each in certificates],
            "issuers": [each.issuer for each in certificates],
            "algorithms": [each.key_algorithm for each in certificates],
            "sizes": [each.key_size for each in certificates],
            "ders": [each.der for each in certificates],
            "link_ids": [certificate_id for certificate_id, _ in links],
            "link_ders": [der for _, der in links],
        },
    ).fetchall()
    version_ids = dict(rows)
    schedule_notices(connection, list(version_ids.values()))
    return version_ids


def schedule_notices(connection: Connection, version_ids: list[int]) -> None:
    """Work out afresh what is still to be told of these versions, and when."""
    connection.execute(
        "SELECT keywright.schedule_notices(%(version_ids)s::bigint[])",
        {"version_ids": version_ids},
    )
