"""Endpoints of webhooks and their secrets in the database. SQL only; secrets are encrypted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from workers.database.pool import Connection
from workers.errors import ConflictError, NotFoundError


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Who is told what, and how it is: ``failures`` in a row, no message before ``open_until``.

    ``url`` may hold a secret in its path or query.
    """

    endpoint_id: int
    name: str
    url: str = field(repr=False)
    kinds: list[str]
    allow_private: bool
    disabled_at: datetime | None
    failures: int
    open_until: datetime | None
    created_at: datetime
    waiting: int
    given_up: int


@dataclass(frozen=True, kw_only=True)
class SecretRow:
    """A secret in ciphertext; ``expires_at`` None is the newest."""

    webhook_secret_id: UUID
    value: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime | None


def insert_endpoint(
    connection: Connection,
    *,
    organization_id: int,
    name: str,
    url: str,
    kinds: Sequence[str],
    allow_private: bool,
) -> int:
    """Insert an endpoint and return its number.

    Raises:
        ConflictError: the organization has one of this name.
    """
    try:
        with connection.transaction():
            row = connection.execute(
                """
                INSERT INTO keywright.webhook_endpoint
                       (organization_id, name, url, kinds, allow_private)
                VALUES (%(organization_id)s, %(name)s, %(url)s, %(kinds)s, %(allow_private)s)
                RETURNING endpoint_id
                """,
                {
                    "organization_id": organization_id,
                    "name": name,
                    "url": url,
                    "kinds": list(kinds),
                    "allow_private": allow_private,
                },
            ).fetchone()
    except psycopg.errors.UniqueViolation:
        raise ConflictError(
            f"name: this organization has a webhook {name} already; choose another name."
        ) from None
    assert row is not None
    return int(row[0])


def list_endpoints(connection: Connection, *, organization_id: int) -> list[Endpoint]:
    """Return the endpoints of an organization by name."""
    with connection.cursor(row_factory=class_row(Endpoint)) as cursor:
        return cursor.execute(
            """
            SELECT endpoint_id, name, url, kinds, allow_private, disabled_at, failures, open_until,
                   created_at, counted.waiting, counted.given_up
              FROM keywright.webhook_endpoint
             CROSS JOIN LATERAL (
                   SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting,
                          count(*) FILTER (WHERE state = 'given_up') AS given_up
                     FROM keywright.webhook_delivery AS delivery
                    WHERE delivery.endpoint_id = webhook_endpoint.endpoint_id) AS counted
             WHERE organization_id = %(organization_id)s
             ORDER BY name
            """,
            {"organization_id": organization_id},
        ).fetchall()


@dataclass(frozen=True, kw_only=True)
class FailingEndpoint:
    """An endpoint that did not take what it was sent, ``failures`` times in a row."""

    organization: str
    name: str
    failures: int


def list_failing(connection: Connection, *, failures: int) -> list[FailingEndpoint]:
    """Return the endpoints in use, whoever's, that failed at least so often in a row."""
    with connection.cursor(row_factory=class_row(FailingEndpoint)) as cursor:
        return cursor.execute(
            """
            SELECT organization.name AS organization, endpoint.name, failures
              FROM keywright.webhook_endpoint AS endpoint
              JOIN keywright.organization USING (organization_id)
             WHERE failures >= %(failures)s AND disabled_at IS NULL
             ORDER BY 1, 2
            """,
            {"failures": failures},
        ).fetchall()


def lock_endpoint(connection: Connection, *, organization_id: int, name: str) -> int:
    """Return the number of an endpoint; nobody changes it before this transaction ends.

    Raises:
        NotFoundError: the organization has none of this name.
    """
    row = connection.execute(
        """
        SELECT endpoint_id FROM keywright.webhook_endpoint
         WHERE organization_id = %(organization_id)s AND name = %(name)s
           FOR NO KEY UPDATE
        """,
        {"organization_id": organization_id, "name": name},
    ).fetchone()
    if row is None:
        raise no_webhook(name)
    return int(row[0])


def disable_endpoint(connection: Connection, endpoint_id: int) -> None:
    """Tell an endpoint nothing from now on; what happens meanwhile is not kept for it."""
    connection.execute(
        """
        UPDATE keywright.webhook_endpoint SET disabled_at = coalesce(disabled_at, now())
         WHERE endpoint_id = %(endpoint_id)s
        """,
        {"endpoint_id": endpoint_id},
    )


def enable_endpoint(connection: Connection, endpoint_id: int) -> None:
    """Let an endpoint be told again, with nothing held against it."""
    connection.execute(
        """
        UPDATE keywright.webhook_endpoint
           SET disabled_at = NULL, failures = 0, open_until = NULL
         WHERE endpoint_id = %(endpoint_id)s
        """,
        {"endpoint_id": endpoint_id},
    )


def forgive_endpoint(connection: Connection, endpoint_id: int) -> None:
    """Let an endpoint be tried now, whatever rest it was given."""
    connection.execute(
        """
        UPDATE keywright.webhook_endpoint SET failures = 0, open_until = NULL
         WHERE endpoint_id = %(endpoint_id)s
        """,
        {"endpoint_id": endpoint_id},
    )


def delete_endpoint(connection: Connection, endpoint_id: int) -> None:
    """Delete an endpoint with its secrets and all it was still to be told."""
    connection.execute(
        "DELETE FROM keywright.webhook_endpoint WHERE endpoint_id = %(endpoint_id)s",
        {"endpoint_id": endpoint_id},
    )


def insert_secret(
    connection: Connection,
    *,
    webhook_secret_id: UUID,
    organization_id: int,
    endpoint_id: int,
    value: bytes,
) -> None:
    """Insert the newest secret of an endpoint, which has no other newest one."""
    connection.execute(
        """
        INSERT INTO keywright.webhook_secret
               (webhook_secret_id, organization_id, endpoint_id, value)
        VALUES (%(webhook_secret_id)s, %(organization_id)s, %(endpoint_id)s, %(value)b)
        """,
        {
            "webhook_secret_id": webhook_secret_id,
            "organization_id": organization_id,
            "endpoint_id": endpoint_id,
            "value": value,
        },
    )


def expire_secrets(connection: Connection, endpoint_id: int, *, hours: int) -> None:
    """Let the secrets that an endpoint has expire after so many hours, if not before."""
    connection.execute(
        """
        UPDATE keywright.webhook_secret
           SET expires_at = least(expires_at, now() + make_interval(hours => %(hours)s))
         WHERE endpoint_id = %(endpoint_id)s
        """,
        {"endpoint_id": endpoint_id, "hours": hours},
    )


def valid_secrets(connection: Connection, endpoint_id: int) -> list[SecretRow]:
    """Return the secrets that sign, the newest first."""
    with connection.cursor(row_factory=class_row(SecretRow)) as cursor:
        return cursor.execute(
            """
            SELECT webhook_secret_id, value, created_at, expires_at
              FROM keywright.webhook_secret
             WHERE endpoint_id = %(endpoint_id)s
               AND (expires_at IS NULL OR expires_at > clock_timestamp())
             ORDER BY expires_at DESC NULLS FIRST
            """,
            {"endpoint_id": endpoint_id},
        ).fetchall()


def delete_expired_secrets(connection: Connection, *, now: datetime) -> int:
    """Delete the secrets that sign no more, and return how many."""
    return connection.execute(
        "DELETE FROM keywright.webhook_secret WHERE expires_at <= %(now)s", {"now": now}
    ).rowcount


def no_webhook(name: str) -> NotFoundError:
    """Return the error that says so, whether there is one elsewhere or nowhere."""
    return NotFoundError(
        f"This organization has no webhook {name}; `keywright webhook list` shows what it has."
    )
