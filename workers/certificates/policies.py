"""What an organization lets keywright do with its certificates by itself. SQL only."""

from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg.rows import class_row

from workers.database.pool import Connection
from workers.errors import InvalidRequestError, NotFoundError

DEFAULT_GRACE_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class CertificatePolicy:
    """When self-signed certificates are rekeyed, and expired ones deleted; None: never.

    A certificate is rekeyed ``rekey_days_before`` its end, or when a third of its life is left if
    that is later. What is deleted, by policy or by hand, can be restored for ``grace_days``.
    """

    organization_id: int
    organization: str
    rekey_days_before: int | None
    delete_expired_after_days: int | None
    grace_days: int


def load_policy(connection: Connection, *, organization_id: int) -> CertificatePolicy:
    """Return the policy of an organization; without one, nothing happens by itself.

    Raises:
        NotFoundError: there is no such organization.
    """
    with connection.cursor(row_factory=class_row(CertificatePolicy)) as cursor:
        policy = cursor.execute(
            """
            SELECT organization_id, organization.name AS organization, rekey_days_before,
                   delete_expired_after_days, coalesce(grace_days, %(grace)s) AS grace_days
              FROM keywright.organization
              LEFT JOIN keywright.certificate_policy USING (organization_id)
             WHERE organization_id = %(organization_id)s
            """,
            {"organization_id": organization_id, "grace": DEFAULT_GRACE_DAYS},
        ).fetchone()
    if policy is None:
        raise NotFoundError(
            f"There is no organization {organization_id}; `keywright organization list` shows them."
        )
    return policy


def save_policy(
    connection: Connection,
    *,
    organization_id: int,
    rekey_days_before: int | None,
    delete_expired_after_days: int | None,
    grace_days: int,
) -> None:
    """Set an organization's policy; what it leaves out (None) happens on request only.

    Raises:
        NotFoundError: there is no such organization.
        InvalidRequestError: a number of days is out of range.
    """
    try:
        with connection.transaction():
            connection.execute(
                """
                INSERT INTO keywright.certificate_policy
                       (organization_id, rekey_days_before, delete_expired_after_days, grace_days)
                VALUES (%(organization_id)s, %(rekey_days_before)s, %(delete_expired_after_days)s,
                        %(grace_days)s)
                    ON CONFLICT (organization_id) DO UPDATE
                   SET rekey_days_before = excluded.rekey_days_before,
                       delete_expired_after_days = excluded.delete_expired_after_days,
                       grace_days = excluded.grace_days
                """,
                {
                    "organization_id": organization_id,
                    "rekey_days_before": rekey_days_before,
                    "delete_expired_after_days": delete_expired_after_days,
                    "grace_days": grace_days,
                },
            )
    except psycopg.errors.ForeignKeyViolation:
        raise NotFoundError(
            f"There is no organization {organization_id}; `keywright organization list` shows them."
        ) from None
    except (psycopg.errors.CheckViolation, psycopg.errors.NumericValueOutOfRange):
        raise InvalidRequestError(
            "rekey_days_before: 1 to 365; delete_expired_after_days, grace_days: 0 to 3650."
        ) from None


def most_days_before(connection: Connection) -> int | None:
    """Return how many days before the end any policy rekeys at most; None: none does.

    A look for what is due names this bound besides each policy's own: Postgres cannot guess from
    the latter how little is due, and would read everything.
    """
    return _bound(connection, "SELECT max(rekey_days_before) FROM keywright.certificate_policy")


def fewest_days_after(connection: Connection) -> int | None:
    """Return how many days after the end any policy deletes at the earliest; None: none does."""
    return _bound(
        connection, "SELECT min(delete_expired_after_days) FROM keywright.certificate_policy"
    )


def _bound(connection: Connection, statement: LiteralString) -> int | None:
    row = connection.execute(statement).fetchone()
    return None if row is None else row[0]
