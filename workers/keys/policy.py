"""When master keys give way by themselves: the policies, and what is due by them. SQL only."""

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from workers.contract import DestroyMasterKey, RotateMasterKey
from workers.database.pool import Connection
from workers.errors import InvalidRequestError, NotFoundError
from workers.jobs.due import MOST_AT_ONCE, DueJob
from workers.keys.usage import ROTATE, WORN_OUT, rotation_key


@dataclass(frozen=True, kw_only=True)
class RotationPolicy:
    """How long an organization's active key stays active; ``due_at`` None: it has none yet."""

    organization_id: int
    organization: str
    every_days: int
    reencrypt: bool
    active_number: int | None
    due_at: datetime | None

    def is_due(self, now: datetime) -> bool:
        """Return whether the next review asks for a rotation."""
        return self.due_at is not None and self.due_at <= now


def set_rotation_policy(
    connection: Connection, *, organization_id: int, every_days: int, reencrypt: bool
) -> None:
    """Have the organization's active key give way every so many days.

    Raises:
        NotFoundError: there is no such organization.
        InvalidRequestError: ``every_days`` is out of range.
    """
    try:
        with connection.transaction():
            connection.execute(
                """
                INSERT INTO keywright.rotation_policy (organization_id, every_days, reencrypt)
                VALUES (%(organization_id)s, %(every_days)s, %(reencrypt)s)
                    ON CONFLICT (organization_id) DO UPDATE
                   SET every_days = excluded.every_days, reencrypt = excluded.reencrypt
                """,
                {
                    "organization_id": organization_id,
                    "every_days": every_days,
                    "reencrypt": reencrypt,
                },
            )
    except psycopg.errors.ForeignKeyViolation:
        raise NotFoundError(
            f"There is no organization {organization_id}; `keywright organization list` shows them."
        ) from None
    except (psycopg.errors.CheckViolation, psycopg.errors.NumericValueOutOfRange):
        raise InvalidRequestError("every_days: 1 to 3650 days.") from None


def remove_rotation_policy(connection: Connection, *, organization_id: int) -> None:
    """Have the organization's keys rotate on request only, and before they wear out.

    Raises:
        NotFoundError: it has no policy.
    """
    removed = connection.execute(
        "DELETE FROM keywright.rotation_policy WHERE organization_id = %(organization_id)s",
        {"organization_id": organization_id},
    ).rowcount
    if removed == 0:
        raise NotFoundError("The organization has no rotation policy; there is nothing to remove.")


def list_rotation_policies(
    connection: Connection, *, organization_id: int | None = None
) -> list[RotationPolicy]:
    """Return the policy of one organization, or all by organization."""
    with connection.cursor(row_factory=class_row(RotationPolicy)) as cursor:
        return cursor.execute(
            """
            SELECT organization_id, organization.name AS organization, every_days, reencrypt,
                   key_number AS active_number,
                   state_since + make_interval(days => every_days) AS due_at
              FROM keywright.rotation_policy
              JOIN keywright.organization USING (organization_id)
              LEFT JOIN (SELECT organization_id, key_number, state_since
                           FROM keywright.master_key WHERE state = 'active') AS active
                   USING (organization_id)
             WHERE %(organization_id)s::bigint IS NULL OR organization_id = %(organization_id)s
             ORDER BY lower(organization.name)
            """,
            {"organization_id": organization_id},
        ).fetchall()


def rotations_due_by_policy(connection: Connection) -> list[DueJob]:
    """Return a rotation for each active key that is older than its organization's policy allows."""
    rows = connection.execute(
        """
        SELECT organization_id, key_number, reencrypt, every_days
          FROM keywright.rotation_policy
          JOIN keywright.master_key USING (organization_id)
         WHERE state = 'active' AND state_since + make_interval(days => every_days) <= now()
         ORDER BY state_since
         LIMIT %(limit)s
        """,
        {"limit": MOST_AT_ONCE},
    ).fetchall()
    return [
        DueJob(
            organization_id=organization_id,
            unique_key=rotation_key(number),
            request=RotateMasterKey(
                expected_number=number,
                reencrypt=reencrypt,
                reason=f"policy: every {every_days} days",
            ),
        )
        for organization_id, number, reencrypt, every_days in rows
    ]


def rotations_due_by_wear(connection: Connection) -> list[DueJob]:
    """Return a rotation for each active key that has encrypted nearly as often as it may."""
    rows = connection.execute(
        """
        SELECT organization_id, key_number, coalesce(reencrypt, false)
          FROM keywright.master_key
          LEFT JOIN keywright.rotation_policy USING (organization_id)
         WHERE state = 'active' AND uses_leased >= %(rotate)s
         ORDER BY uses_leased DESC
         LIMIT %(limit)s
        """,
        {"rotate": ROTATE, "limit": MOST_AT_ONCE},
    ).fetchall()
    return [
        DueJob(
            organization_id=organization_id,
            unique_key=rotation_key(number),
            request=RotateMasterKey(expected_number=number, reencrypt=reencrypt, reason=WORN_OUT),
        )
        for organization_id, number, reencrypt in rows
    ]


def destructions_due(connection: Connection) -> list[DueJob]:
    """Return a destruction for each key whose date for it has come."""
    rows = connection.execute(
        """
        SELECT organization_id, key_number FROM keywright.master_key
         WHERE destroy_at <= now()
         ORDER BY destroy_at
         LIMIT %(limit)s
        """,
        {"limit": MOST_AT_ONCE},
    ).fetchall()
    return [
        DueJob(
            organization_id=organization_id,
            unique_key=f"key-{number}",
            request=DestroyMasterKey(key_number=number),
        )
        for organization_id, number in rows
    ]
