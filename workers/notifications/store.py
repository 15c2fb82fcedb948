"""Digests on their way out: closing them, and what they have to tell. SQL only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from psycopg.rows import class_row

from workers.database.pool import Connection


@dataclass(frozen=True, kw_only=True)
class DueDigest:
    """A digest that is closed and waits to be sent, with whom it goes to and in what role."""

    digest_id: int
    local_day: date
    installation_id: UUID
    organization: str
    is_sandbox: bool
    recipient_name: str
    recipient_email: str
    time_zone: str
    is_holder: bool


@dataclass(frozen=True, kw_only=True)
class DueNotice:
    """One certificate version to tell of in a digest."""

    digest_id: int
    label: str
    unique_name: str
    kind: str
    subject: str
    issuer: str
    serial: str
    not_after: datetime
    ends_first: str | None
    tier_days: int
    used_in: list[str]
    replaced: bool


def drop_digests_without_reader(connection: Connection, digest_ids: Sequence[int]) -> int:
    """Cancel the digests whose member is no longer active; return how many that were.

    A tier that nobody else hears is planned afresh for whoever is concerned now: the departure of a
    sole holder must not silence everyone (rule 54).
    """
    row = connection.execute(
        """
        WITH orphaned AS (
            UPDATE keywright.digest
               SET state = 'cancelled'
              FROM keywright.member
             WHERE digest.digest_id = ANY (%(digest_ids)s) AND digest.state IN ('open', 'sending')
               AND member.member_id = digest.member_id AND NOT member.active
            RETURNING digest.member_id, digest.local_day
        ), cancelled AS (
            UPDATE keywright.notice
               SET state = 'cancelled', reason = 'the member is no longer active'
              FROM orphaned
             WHERE notice.member_id = orphaned.member_id
               AND notice.local_day = orphaned.local_day AND notice.state = 'planned'
            RETURNING notice.version_id, notice.tier_days, notice.member_id
        ), reopened AS (
            DELETE FROM keywright.tier_record AS record
             USING cancelled
             WHERE record.version_id = cancelled.version_id
               AND record.tier_days = cancelled.tier_days
               AND NOT EXISTS (SELECT FROM keywright.notice AS other
                                WHERE other.version_id = cancelled.version_id
                                  AND other.tier_days = cancelled.tier_days
                                  AND other.member_id <> cancelled.member_id
                                  AND other.state IN ('planned', 'sent'))
            RETURNING record.version_id
        ), rescheduled AS (
            UPDATE keywright.certificate_version AS version
               SET next_notice_at = least(version.next_notice_at, now())
              FROM reopened
             WHERE version.version_id = reopened.version_id AND version.not_after IS NOT NULL
        )
        SELECT count(*) FROM orphaned
        """,
        {"digest_ids": list(digest_ids)},
    ).fetchone()
    assert row is not None
    return int(row[0])


def cancel_digests(connection: Connection, digest_ids: Sequence[int]) -> None:
    """Cancel digests that have nothing left to tell."""
    connection.execute(
        """
        UPDATE keywright.digest SET state = 'cancelled'
         WHERE digest_id = ANY (%(digest_ids)s) AND state IN ('open', 'sending')
        """,
        {"digest_ids": list(digest_ids)},
    )


def close_digests(connection: Connection, digest_ids: Sequence[int]) -> list[DueDigest]:
    """Close those of the digests that are still to be sent, and return them in order.

    A digest found ``sending`` is one whose attempt was cut off or deferred: it is due again. So is
    one that was given up: its job runs once more because somebody asked for that.
    """
    connection.execute(
        """
        WITH taken_up AS (
            UPDATE keywright.digest SET state = 'sending'
              FROM keywright.delivery
             WHERE digest.digest_id = ANY (%(digest_ids)s) AND digest.state = 'failed'
               AND delivery.digest_id = digest.digest_id AND delivery.state = 'given_up'
            RETURNING digest.member_id, digest.local_day
        )
        UPDATE keywright.notice SET state = 'planned'
          FROM taken_up
         WHERE notice.member_id = taken_up.member_id AND notice.local_day = taken_up.local_day
           AND notice.state = 'failed'
        """,
        {"digest_ids": list(digest_ids)},
    )
    connection.execute(
        """
        UPDATE keywright.digest SET state = 'sending'
         WHERE digest_id = ANY (%(digest_ids)s) AND state = 'open'
        """,
        {"digest_ids": list(digest_ids)},
    )
    with connection.cursor(row_factory=class_row(DueDigest)) as cursor:
        return cursor.execute(
            """
            SELECT digest.digest_id, digest.local_day, installation.installation_id,
                   organization.name AS organization, organization.is_sandbox,
                   member.name AS recipient_name, member.email AS recipient_email,
                   coalesce(member.time_zone, organization.time_zone) AS time_zone,
                   'receive_expiration_notices' = ANY (member.permissions) AS is_holder
              FROM keywright.digest
              JOIN keywright.member USING (member_id)
              JOIN keywright.organization ON organization.organization_id = digest.organization_id
             CROSS JOIN keywright.installation
             WHERE digest.digest_id = ANY (%(digest_ids)s) AND digest.state = 'sending'
             ORDER BY digest.digest_id
            """,
            {"digest_ids": list(digest_ids)},
        ).fetchall()


def notices_to_tell(connection: Connection, digest_ids: Sequence[int]) -> list[DueNotice]:
    """Return what these digests have to tell, most urgent first within each."""
    with connection.cursor(row_factory=class_row(DueNotice)) as cursor:
        return cursor.execute(
            """
            SELECT digest.digest_id, certificate.label, certificate.unique_name,
                   certificate.kind::text AS kind, version.subject, version.issuer, version.serial,
                   version.not_after, version.ends_first, notice.tier_days,
                   version.replaced_at IS NOT NULL AS replaced,
                   ARRAY (SELECT usage.place_kind || ': ' || usage.place
                            FROM keywright.usage
                           WHERE usage.version_id = version.version_id
                           ORDER BY 1) AS used_in
              FROM keywright.digest
              JOIN keywright.notice USING (member_id, local_day)
              JOIN keywright.certificate_version AS version USING (version_id)
              JOIN keywright.certificate USING (certificate_id)
             WHERE digest.digest_id = ANY (%(digest_ids)s) AND notice.state = 'planned'
             ORDER BY digest.digest_id, version.not_after, certificate.unique_name
            """,
            {"digest_ids": list(digest_ids)},
        ).fetchall()
