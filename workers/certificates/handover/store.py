"""The rows of handed secrets, artifacts and fetches. SQL only; the values come and go encrypted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from workers.database.pool import Connection
from workers.errors import InvalidRequestError

LONGEST_STAY_HOURS = 720

Purpose = Literal["keystore_export", "keystore_import"]
Refusal = Literal["unknown", "not_allowed", "gone"]


@dataclass(frozen=True, kw_only=True)
class SecretRow:
    """A handed secret; ``value`` is ciphertext, None once it is used up or was removed."""

    value: bytes | None = field(repr=False)
    used_at: datetime | None
    is_over: bool


@dataclass(frozen=True, kw_only=True)
class ArtifactRow:
    """What is known of an artifact; ``refusals`` counts the fetches that were refused."""

    artifact_id: UUID
    purpose: str
    file_name: str
    media_type: str
    size_bytes: int
    sha256: bytes
    requested_by: str
    job_id: int | None
    made_at: datetime
    expires_at: datetime
    is_there: bool
    fetches: int
    refusals: int


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """Who fetched an artifact, or tried to and why not."""

    actor: str
    refused_because: str | None
    fetched_at: datetime


def insert_secret(
    connection: Connection,
    *,
    secret_id: UUID,
    organization_id: int,
    value: bytes,
    purpose: str,
    handed_by: str,
    expires_at: datetime,
) -> None:
    """Insert a handed secret.

    Raises:
        InvalidRequestError: it would expire at once, or stay too long.
    """
    try:
        with connection.transaction():
            connection.execute(
                """
                INSERT INTO keywright.handed_secret
                       (secret_id, organization_id, value, purpose, handed_by, expires_at)
                VALUES (%(secret_id)s, %(organization_id)s, %(value)b, %(purpose)s, %(handed_by)s,
                        %(expires_at)s)
                """,
                {
                    "secret_id": secret_id,
                    "organization_id": organization_id,
                    "value": value,
                    "purpose": purpose,
                    "handed_by": handed_by,
                    "expires_at": expires_at,
                },
            )
    except psycopg.errors.CheckViolation:
        raise _stays_too_long() from None


def find_secret(
    connection: Connection, *, organization_id: int, secret_id: UUID
) -> SecretRow | None:
    """Return a secret that was handed over in the organization."""
    with connection.cursor(row_factory=class_row(SecretRow)) as cursor:
        return cursor.execute(
            """
            SELECT value, used_at, expires_at <= clock_timestamp() AS is_over
              FROM keywright.handed_secret
             WHERE secret_id = %(secret_id)s AND organization_id = %(organization_id)s
            """,
            {"secret_id": secret_id, "organization_id": organization_id},
            binary=True,
        ).fetchone()


def use_up_secrets(
    connection: Connection, *, organization_id: int, secret_ids: Sequence[UUID]
) -> int:
    """Remove the values of secrets nobody has used yet; return how many there were."""
    return connection.execute(
        """
        UPDATE keywright.handed_secret
           SET value = NULL, used_at = clock_timestamp(), gone_at = clock_timestamp()
         WHERE secret_id = ANY (%(secret_ids)s) AND organization_id = %(organization_id)s
           AND gone_at IS NULL
        """,
        {"secret_ids": list(secret_ids), "organization_id": organization_id},
    ).rowcount


def remove_expired_secrets(connection: Connection, *, now: datetime, limit: int) -> int:
    """Remove the values of secrets that have expired; return how many."""
    return connection.execute(
        """
        UPDATE keywright.handed_secret SET value = NULL, gone_at = %(now)s
         WHERE secret_id IN (SELECT secret_id FROM keywright.handed_secret
                              WHERE expires_at <= %(now)s AND gone_at IS NULL
                              ORDER BY expires_at
                              LIMIT %(limit)s
                                FOR UPDATE SKIP LOCKED)
        """,
        {"now": now, "limit": limit},
    ).rowcount


def insert_artifact(
    connection: Connection, *, organization_id: int, content: bytes, **columns: object
) -> None:
    """Insert an artifact.

    Raises:
        InvalidRequestError: it would expire at once, or stay too long.
    """
    try:
        with connection.transaction():
            connection.execute(
                """
                INSERT INTO keywright.artifact
                       (artifact_id, organization_id, purpose, file_name, media_type, size_bytes,
                        sha256, content, requested_by, job_id, expires_at)
                VALUES (%(artifact_id)s, %(organization_id)s, %(purpose)s, %(file_name)s,
                        %(media_type)s, %(size_bytes)s, %(sha256)b, %(content)b, %(requested_by)s,
                        %(job_id)s, %(expires_at)s)
                """,
                {"organization_id": organization_id, "content": content, **columns},
            )
    except psycopg.errors.CheckViolation:
        raise _stays_too_long() from None


def list_artifacts(
    connection: Connection, *, organization_id: int, artifact_id: UUID | None = None
) -> list[ArtifactRow]:
    """Return the artifacts of an organization, newest first; only the one named, if one is."""
    with connection.cursor(row_factory=class_row(ArtifactRow)) as cursor:
        return cursor.execute(
            """
            SELECT artifact_id, purpose, file_name, media_type, size_bytes, sha256, requested_by,
                   job_id, made_at, expires_at,
                   gone_at IS NULL AND expires_at > clock_timestamp() AS is_there, fetches,
                   (SELECT count(*) FROM keywright.artifact_fetch AS asked
                     WHERE asked.artifact_id = artifact.artifact_id
                       AND refused_because IS NOT NULL) AS refusals
              FROM keywright.artifact
             WHERE organization_id = %(organization_id)s
               AND (%(artifact_id)s::uuid IS NULL OR artifact_id = %(artifact_id)s)
             ORDER BY made_at DESC, artifact_id
            """,
            {"organization_id": organization_id, "artifact_id": artifact_id},
        ).fetchall()


def content_of(connection: Connection, *, organization_id: int, artifact_id: UUID) -> bytes | None:
    """Return an artifact's content as ciphertext, if it is there still; lock the row."""
    row = connection.execute(
        """
        SELECT content
          FROM keywright.artifact
         WHERE artifact_id = %(artifact_id)s AND organization_id = %(organization_id)s
           AND expires_at > clock_timestamp()
           FOR UPDATE
        """,
        {"artifact_id": artifact_id, "organization_id": organization_id},
        binary=True,
    ).fetchone()
    return None if row is None or row[0] is None else bytes(row[0])


def remove_content(connection: Connection, *, organization_id: int, artifact_id: UUID) -> bool:
    """Remove an artifact's content for good; False: it was gone already."""
    return bool(
        connection.execute(
            """
            UPDATE keywright.artifact SET content = NULL, gone_at = clock_timestamp()
             WHERE artifact_id = %(artifact_id)s AND organization_id = %(organization_id)s
               AND gone_at IS NULL
            """,
            {"artifact_id": artifact_id, "organization_id": organization_id},
        ).rowcount
    )


def remove_expired_contents(connection: Connection, *, now: datetime, limit: int) -> int:
    """Remove the contents of artifacts that have expired; return how many."""
    return connection.execute(
        """
        UPDATE keywright.artifact SET content = NULL, gone_at = %(now)s
         WHERE artifact_id IN (SELECT artifact_id FROM keywright.artifact
                                WHERE expires_at <= %(now)s AND gone_at IS NULL
                                ORDER BY expires_at
                                LIMIT %(limit)s
                                  FOR UPDATE SKIP LOCKED)
        """,
        {"now": now, "limit": limit},
    ).rowcount


def record_fetch(
    connection: Connection,
    *,
    organization_id: int,
    artifact_id: UUID,
    actor: str,
    refused_because: Refusal | None,
) -> None:
    """Put on record who fetched an artifact or tried to, and count what was given."""
    connection.execute(
        """
        WITH counted AS (
            UPDATE keywright.artifact SET fetches = fetches + 1
             WHERE artifact_id = %(artifact_id)s AND organization_id = %(organization_id)s
               AND %(refused_because)s::text IS NULL
        )
        INSERT INTO keywright.artifact_fetch
               (organization_id, artifact_id, actor, refused_because, fetched_at)
        SELECT organization_id, %(artifact_id)s, %(actor)s, %(refused_because)s, clock_timestamp()
          FROM keywright.organization
         WHERE organization_id = %(organization_id)s
        """,
        {
            "organization_id": organization_id,
            "artifact_id": artifact_id,
            "actor": actor,
            "refused_because": refused_because,
        },
    )


def list_fetches(connection: Connection, *, organization_id: int, artifact_id: UUID) -> list[Fetch]:
    """Return who fetched an artifact or tried to in this organization, oldest first."""
    with connection.cursor(row_factory=class_row(Fetch)) as cursor:
        return cursor.execute(
            """
            SELECT actor, refused_because, fetched_at
              FROM keywright.artifact_fetch
             WHERE artifact_id = %(artifact_id)s AND organization_id = %(organization_id)s
             ORDER BY fetch_id
            """,
            {"artifact_id": artifact_id, "organization_id": organization_id},
        ).fetchall()


def may_manage_certificates(connection: Connection, organization_id: int, member_id: int) -> bool:
    """Whether a member is active here and has the permission (rule 45)."""
    row = connection.execute(
        """
        SELECT active AND 'manage_certificates' = ANY (permissions)
          FROM keywright.member
         WHERE organization_id = %(organization_id)s AND member_id = %(member_id)s
        """,
        {"organization_id": organization_id, "member_id": member_id},
    ).fetchone()
    return row is not None and bool(row[0])


def _stays_too_long() -> InvalidRequestError:
    return InvalidRequestError(
        f"expires_at: it lies in the future, by at most {LONGEST_STAY_HOURS} hours."
    )
