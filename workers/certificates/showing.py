"""Everything there is to know about one certificate. SQL only."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg.rows import class_row

from workers.certificates.locking import no_such_certificate
from workers.certificates.usages import Usage, list_usages
from workers.database.pool import Connection


@dataclass(frozen=True, kw_only=True)
class TierOutlook:
    """A tier of a version: when it is due, and what became of it (None: still to come)."""

    version_number: int
    tier_days: int
    due_at: datetime
    outcome: str | None
    decided_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ToldNotice:
    """Who was told, or is to be told, of a version at a tier, and what became of that."""

    version_number: int
    tier_days: int
    member: str
    state: str
    reason: str | None
    local_day: date


@dataclass(frozen=True, kw_only=True)
class VersionRow:
    """A version; its private key, if it is here, is under the organization's master key.

    ``chain_length`` counts the issuers that came with it. ``not_after`` is the end that counts;
    where it is that of an issuer, ``ends_first`` names that one and ``leaf_not_after`` is its own.
    """

    version_id: int
    version_number: int
    not_before: datetime | None
    not_after: datetime | None
    leaf_not_after: datetime | None
    ends_first: str | None
    serial: str | None
    fingerprint: bytes | None
    subject: str | None
    issuer: str | None
    key_algorithm: str
    key_size: int | None
    has_private_key: bool
    has_request: bool
    chain_length: int
    known_since: datetime
    replaced_at: datetime | None
    next_notice_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class _Certificate:
    certificate_id: int
    unique_name: str
    label: str
    kind: str
    private_key_exportable: bool
    made_from: dict[str, Any] | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class ShownCertificate(_Certificate):
    """A certificate with its versions, newest first, where they are used and what was told."""

    versions: tuple[VersionRow, ...]
    usages: tuple[Usage, ...]
    tiers: tuple[TierOutlook, ...]
    notices: tuple[ToldNotice, ...]


def show_certificate(
    connection: Connection, *, organization_id: int, unique_name: str
) -> ShownCertificate:
    """Return all that is known of the certificate called ``unique_name``, whatever its case.

    Raises:
        NotFoundError: there is none.
    """
    with connection.transaction():
        with connection.cursor(row_factory=class_row(_Certificate)) as cursor:
            certificate = cursor.execute(
                """
                SELECT certificate_id, unique_name, label, kind::text AS kind,
                       private_key_exportable, made_from, created_at
                  FROM keywright.certificate
                 WHERE organization_id = %(organization_id)s AND deleted_at IS NULL
                   AND lower(unique_name) = lower(%(unique_name)s)
                """,
                {"organization_id": organization_id, "unique_name": unique_name},
            ).fetchone()
        if certificate is None:
            raise no_such_certificate(unique_name)
        certificate_id = certificate.certificate_id
        return ShownCertificate(
            certificate_id=certificate_id,
            unique_name=certificate.unique_name,
            label=certificate.label,
            kind=certificate.kind,
            private_key_exportable=certificate.private_key_exportable,
            made_from=certificate.made_from,
            created_at=certificate.created_at,
            versions=tuple(_versions(connection, certificate_id)),
            usages=tuple(
                list_usages(
                    connection,
                    organization_id=organization_id,
                    unique_name=certificate.unique_name,
                )
            ),
            tiers=tuple(_tiers(connection, certificate_id)),
            notices=tuple(_notices(connection, certificate_id)),
        )


def _versions(connection: Connection, certificate_id: int) -> list[VersionRow]:
    with connection.cursor(row_factory=class_row(VersionRow)) as cursor:
        return cursor.execute(
            """
            SELECT version_id, version_number, not_before, not_after, leaf_not_after, ends_first,
                   serial, fingerprint, subject, issuer, key_algorithm, key_size,
                   private_key IS NOT NULL AS has_private_key, csr_der IS NOT NULL AS has_request,
                   cardinality(chain_der) AS chain_length, known_since, replaced_at, next_notice_at
              FROM keywright.certificate_version
             WHERE certificate_id = %(certificate_id)s
             ORDER BY version_number DESC
            """,
            {"certificate_id": certificate_id},
        ).fetchall()


def _tiers(connection: Connection, certificate_id: int) -> list[TierOutlook]:
    with connection.cursor(row_factory=class_row(TierOutlook)) as cursor:
        return cursor.execute(
            """
            SELECT version.version_number, tier.tier_days,
                   keywright.tier_due_at(tier.tier_days, tier.life_divisor, version.not_before,
                                         version.not_after, organization.time_zone,
                                         organization.sending_hour) AS due_at,
                   record.outcome::text AS outcome, record.decided_at
              FROM keywright.certificate_version AS version
              JOIN keywright.organization USING (organization_id)
             CROSS JOIN keywright.tier
              LEFT JOIN keywright.tier_record AS record
                ON record.version_id = version.version_id AND record.tier_days = tier.tier_days
             WHERE version.certificate_id = %(certificate_id)s AND version.not_after IS NOT NULL
             ORDER BY version.version_number DESC, tier.tier_days DESC
            """,
            {"certificate_id": certificate_id},
        ).fetchall()


def _notices(connection: Connection, certificate_id: int) -> list[ToldNotice]:
    with connection.cursor(row_factory=class_row(ToldNotice)) as cursor:
        return cursor.execute(
            """
            SELECT version.version_number, notice.tier_days, member.name AS member,
                   notice.state::text AS state, notice.reason, notice.local_day
              FROM keywright.notice
              JOIN keywright.certificate_version AS version USING (version_id)
              JOIN keywright.member USING (member_id)
             WHERE version.certificate_id = %(certificate_id)s
             ORDER BY version.version_number DESC, notice.tier_days DESC, member.name, member_id
            """,
            {"certificate_id": certificate_id},
        ).fetchall()
