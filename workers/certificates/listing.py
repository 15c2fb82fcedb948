"""Listing certificates, page by page, by when they end. SQL only."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from psycopg.rows import class_row

from workers.database.pool import Connection
from workers.errors import InvalidRequestError

MAX_PAGE = 1000
KINDS = ("self_signed", "ca_signed", "imported")

_UNSIGNED = "unsigned"
_PAGE_END = re.compile(
    rf"(?P<end>{_UNSIGNED}|[0-9T:.-]+[+-]\d\d:\d\d)/(?P<id>\d{{1,18}})", re.ASCII
)


@dataclass(frozen=True)
class PageEnd:
    """Where a page ended, so that the next can go on there; people see it as one word."""

    not_after: datetime | None
    certificate_id: int

    def __str__(self) -> str:
        """Return the word."""
        end = self.not_after.astimezone(UTC).isoformat() if self.not_after else _UNSIGNED
        return f"{end}/{self.certificate_id}"

    @classmethod
    def parse(cls, word: str) -> Self:
        """Return what ``str`` made the word of.

        Raises:
            InvalidRequestError: it is none of ours.
        """
        parts = _PAGE_END.fullmatch(word)
        try:
            if parts is not None:
                end = parts["end"]
                not_after = None if end == _UNSIGNED else datetime.fromisoformat(end)
                return cls(not_after, int(parts["id"]))
        except ValueError:
            pass
        raise InvalidRequestError("after: take it as it is from the end of the page before.")


@dataclass(frozen=True, kw_only=True)
class CertificateRow:
    """A certificate with its newest version that is signed, or else the newest that is not.

    ``status`` is ``unusable`` (not signed yet), ``not_yet_valid``, ``valid`` or ``expired``.
    ``private_key_encrypted``: its private key is here, under the organization's master key.
    ``awaits_signature``: there is a version that an authority is still to sign. ``not_after`` is
    the end that counts; where it is that of an issuer, ``ends_first`` names that one, and
    ``leaf_not_after`` is the certificate's own.
    ``usages`` counts the places that have any version, ``outdated_usages`` those with an older one.
    ``being_replaced``: places are moving from it, or to it.
    """

    certificate_id: int
    unique_name: str
    label: str
    kind: str
    private_key_exportable: bool
    private_key_encrypted: bool
    status: str
    version_number: int
    not_before: datetime | None
    not_after: datetime | None
    leaf_not_after: datetime | None
    ends_first: str | None
    awaits_signature: bool
    serial: str | None
    fingerprint: bytes | None
    subject: str | None
    issuer: str | None
    key_algorithm: str
    key_size: int | None
    next_notice_at: datetime | None
    usages: int
    outdated_usages: int
    being_replaced: bool

    @property
    def page_end(self) -> PageEnd:
        """Where a page ends that ends with this row."""
        return PageEnd(self.not_after, self.certificate_id)


def list_certificates(
    connection: Connection,
    *,
    organization_id: int,
    now: datetime,
    expiring_within_days: int | None = None,
    expired: bool = False,
    expired_since: datetime | None = None,
    used: bool | None = None,
    kind: str | None = None,
    being_replaced: bool | None = None,
    after: PageEnd | None = None,
    limit: int = 100,
) -> list[CertificateRow]:
    """Return up to ``limit`` certificates, those that end first before the others.

    ``expiring_within_days`` keeps those that end within so many days, ``expired`` those that have
    ended (rule 62: they stay until deleted); with both, either will do. ``expired_since`` keeps
    those that ended at that time or later. ``used`` asks whether a place has any version,
    ``being_replaced`` whether places are moving from it or to it.

    Raises:
        InvalidRequestError: ``limit``, ``expiring_within_days`` or ``kind`` is out of range.
    """
    expired = expired or expired_since is not None
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequestError(f"limit: 1 to {MAX_PAGE} rows; ask for the next page with after.")
    if expiring_within_days is not None and not 0 <= expiring_within_days <= 36_500:  # noqa: PLR2004
        raise InvalidRequestError("expiring_within_days: 0 to 36500.")
    if kind is not None and kind not in KINDS:
        raise InvalidRequestError(f"kind: {', '.join(KINDS)}.")
    with connection.cursor(row_factory=class_row(CertificateRow)) as cursor:
        return cursor.execute(
            """
            WITH page AS (
                SELECT certificate_id, certificate.unique_name, certificate.label,
                       certificate.kind::text AS kind, certificate.private_key_exportable,
                       version.private_key IS NOT NULL AS private_key_encrypted,
                       version.version_id, version.version_number,
                       version.not_before, version.not_after, version.leaf_not_after,
                       version.ends_first, version.serial, version.fingerprint,
                       version.subject, version.issuer, version.key_algorithm, version.key_size,
                       version.next_notice_at
                  FROM keywright.certificate_version AS version
                  JOIN keywright.certificate USING (certificate_id)
                 WHERE version.organization_id = %(organization_id)s
                   AND certificate.deleted_at IS NULL
                   -- One that is still to be signed does not hide the one that is in use (rule 13).
                   AND NOT EXISTS (SELECT FROM keywright.certificate_version AS newer
                                    WHERE newer.certificate_id = version.certificate_id
                                      AND (newer.not_after IS NOT NULL, newer.version_number)
                                          > (version.not_after IS NOT NULL, version.version_number))
                   AND (%(kind)s::keywright.certificate_kind IS NULL
                        OR certificate.kind = %(kind)s)
                   AND (%(used)s::boolean IS NULL
                        OR %(used)s = EXISTS (
                           SELECT FROM keywright.certificate_version AS any_version
                             JOIN keywright.usage USING (version_id)
                            WHERE any_version.certificate_id = certificate.certificate_id))
                   AND (%(being_replaced)s::boolean IS NULL
                        OR %(being_replaced)s = keywright.is_being_replaced(certificate_id))
                   AND (%(until)s::timestamptz IS NULL OR version.not_after <= %(until)s)
                   AND (%(since)s::timestamptz IS NULL OR version.not_after >= %(since)s)
                   AND (%(after_id)s::bigint IS NULL
                        OR version.not_after > %(after_end)s
                        OR version.not_after IS NOT DISTINCT FROM %(after_end)s
                           AND certificate_id > %(after_id)s
                        OR version.not_after IS NULL AND %(after_end)s::timestamptz IS NOT NULL)
                 ORDER BY version.not_after, certificate_id
                 LIMIT %(limit)s
            )
            SELECT certificate_id, unique_name, label, kind, private_key_exportable,
                   private_key_encrypted,
                   CASE WHEN not_after IS NULL THEN 'unusable'
                        WHEN not_after < %(now)s THEN 'expired'
                        WHEN not_before > %(now)s THEN 'not_yet_valid'
                        ELSE 'valid' END AS status,
                   version_number, not_before, not_after, leaf_not_after, ends_first,
                   EXISTS (SELECT FROM keywright.certificate_version AS unsigned
                            WHERE unsigned.certificate_id = page.certificate_id
                              AND unsigned.not_after IS NULL) AS awaits_signature,
                   serial, fingerprint, subject, issuer, key_algorithm, key_size, next_notice_at,
                   used.usages, used.outdated_usages,
                   keywright.is_being_replaced(certificate_id) AS being_replaced
              FROM page
             CROSS JOIN LATERAL (
                   SELECT count(*) AS usages,
                          count(*) FILTER (WHERE usage.version_id <> page.version_id)
                              AS outdated_usages
                     FROM keywright.certificate_version AS any_version
                     JOIN keywright.usage USING (version_id)
                    WHERE any_version.certificate_id = page.certificate_id) AS used
             ORDER BY not_after, certificate_id
            """,
            {
                "organization_id": organization_id,
                "now": now,
                "since": expired_since
                or (now if expiring_within_days is not None and not expired else None),
                "kind": kind,
                "used": used,
                "being_replaced": being_replaced,
                "until": _until(now, expiring_within_days, expired=expired),
                "after_end": after.not_after if after else None,
                "after_id": after.certificate_id if after else None,
                "limit": limit,
            },
        ).fetchall()


def _until(now: datetime, expiring_within_days: int | None, *, expired: bool) -> datetime | None:
    if expiring_within_days is not None:
        return now + timedelta(days=expiring_within_days)
    # Valid until the very end of its notAfter (RFC 5280 §4.1.2.5).
    return now - timedelta(microseconds=1) if expired else None
