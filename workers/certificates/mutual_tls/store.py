"""Mutual TLS in the database: whether it is on, and the clients. SQL only."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from workers.certificates.locking import lock_organization
from workers.database.pool import Connection
from workers.errors import ConflictError, NotFoundError


class MutualTlsOffError(ConflictError):
    """The organization has not enabled mutual authentication (rule 31)."""

    code = "mutual-tls-off"
    title = "Mutual authentication is off"


@dataclass(frozen=True, kw_only=True)
class ClientRow:
    """A client certificate (rule 33), withdrawn or not; dates are those of its whole chain."""

    unique_name: str
    label: str
    version_number: int
    version_id: int
    member_id: int | None
    issuer: str
    subject: str
    serial: str
    fingerprint: bytes
    not_before: datetime
    not_after: datetime
    certificate_der: bytes
    chain_der: list[bytes]
    root_fingerprint: bytes
    root_is_trusted: bool
    uploaded_by: str
    uploaded_at: datetime
    withdrawn_at: datetime | None


_CLIENTS = """
    SELECT unique_name, label, version_number, version_id, client.member_id, issuer,
           version.subject, serial, version.fingerprint, not_before, version.not_after,
           version.certificate_der, chain_der,
           root_fingerprint, root.fingerprint IS NOT NULL AS root_is_trusted, uploaded_by,
           uploaded_at, withdrawn_at
      FROM keywright.mutual_tls_client AS client
      JOIN keywright.certificate_version AS version USING (organization_id, version_id)
      JOIN keywright.certificate USING (organization_id, certificate_id)
      LEFT JOIN keywright.trusted_root AS root
             ON root.organization_id = client.organization_id
            AND root.fingerprint = client.root_fingerprint
     WHERE client.organization_id = %(organization_id)s AND deleted_at IS NULL
"""


def enabled_since(connection: Connection, organization_id: int) -> datetime | None:
    """Return since when mutual authentication is on; None: it is off."""
    row = connection.execute(
        """
        SELECT mutual_tls_since FROM keywright.organization
         WHERE organization_id = %(organization_id)s
        """,
        {"organization_id": organization_id},
    ).fetchone()
    return None if row is None else row[0]


def check_enabled(connection: Connection, organization_id: int) -> None:
    """Pass if mutual authentication is on.

    Raises:
        MutualTlsOffError: it is off.
    """
    if enabled_since(connection, organization_id) is None:
        raise MutualTlsOffError(
            "Mutual authentication is off for this organization; `keywright mutual-tls enable`"
            " switches it on."
        )


def switch(connection: Connection, organization_id: int, *, since: datetime | None) -> bool:
    """Switch mutual authentication on, or off with ``since`` None; return whether that was news."""
    row = connection.execute(
        """
        UPDATE keywright.organization SET mutual_tls_since = %(since)s
         WHERE organization_id = %(organization_id)s
           AND (mutual_tls_since IS NULL) <> (%(since)s::timestamptz IS NULL)
        RETURNING organization_id
        """,
        {"organization_id": organization_id, "since": since},
    ).fetchone()
    return row is not None


def lock_enabled(connection: Connection, organization_id: int) -> None:
    """Lock the organization, so that roots and clients change one after the other.

    Raises:
        MutualTlsOffError: mutual authentication is off.
    """
    lock_organization(connection, organization_id)
    check_enabled(connection, organization_id)


def list_clients(
    connection: Connection, organization_id: int, *, fingerprints: Collection[bytes] | None = None
) -> list[ClientRow]:
    """Return the client certificates, those withdrawn too, by name and version."""
    with connection.cursor(row_factory=class_row(ClientRow), binary=True) as cursor:
        return cursor.execute(
            _CLIENTS
            + """
               AND (%(fingerprints)b::bytea[] IS NULL
                    OR version.fingerprint = ANY (%(fingerprints)b::bytea[]))
             ORDER BY lower(unique_name), version_number
            """,
            {
                "organization_id": organization_id,
                "fingerprints": None if fingerprints is None else list(fingerprints),
            },
        ).fetchall()


def remove_usages(connection: Connection, usage_ids: Collection[int]) -> None:
    """Remove usages that the caller has locked."""
    connection.execute(
        "DELETE FROM keywright.usage WHERE usage_id = ANY (%(usage_ids)s)",
        {"usage_ids": list(usage_ids)},
    )


def find_version(
    connection: Connection, organization_id: int, fingerprint: bytes
) -> tuple[int, str, int]:
    """Return id, unique name and number of the version that a certificate is."""
    row: Any = connection.execute(
        """
        SELECT version_id, unique_name, version_number
          FROM keywright.certificate_version AS version
          JOIN keywright.certificate USING (organization_id, certificate_id)
         WHERE organization_id = %(organization_id)s AND version.fingerprint = %(fingerprint)s
           AND deleted_at IS NULL
         ORDER BY version_id DESC
         LIMIT 1
        """,
        {"organization_id": organization_id, "fingerprint": fingerprint},
    ).fetchone()
    if row is None:
        raise NotFoundError("There is no such certificate in this organization any more.")
    return row[0], row[1], row[2]


def accept_client(
    connection: Connection,
    organization_id: int,
    version_id: int,
    *,
    member_id: int | None,
    root_fingerprint: bytes,
    uploaded_by: str,
    now: datetime,
) -> None:
    """Accept a version from now on; one that was withdrawn is accepted again.

    Raises:
        NotFoundError: the organization has no such member.
    """
    try:
        connection.execute(
            """
            INSERT INTO keywright.mutual_tls_client
                   (organization_id, version_id, member_id, root_fingerprint, uploaded_by,
                    uploaded_at)
            VALUES (%(organization_id)s, %(version_id)s, %(member_id)s, %(root_fingerprint)s,
                    %(uploaded_by)s, %(now)s)
                ON CONFLICT (version_id) DO UPDATE
               SET member_id = excluded.member_id, root_fingerprint = excluded.root_fingerprint,
                   uploaded_by = excluded.uploaded_by, uploaded_at = excluded.uploaded_at,
                   withdrawn_at = NULL
            """,
            {
                "organization_id": organization_id,
                "version_id": version_id,
                "member_id": member_id,
                "root_fingerprint": root_fingerprint,
                "uploaded_by": uploaded_by,
                "now": now,
            },
        )
    except psycopg.errors.ForeignKeyViolation:
        raise NotFoundError(
            f"member_id: the organization has no member {member_id}; `keywright member list` shows"
            " who there is."
        ) from None


def withdraw_clients(
    connection: Connection, organization_id: int, version_ids: Collection[int], *, now: datetime
) -> None:
    """Accept versions no longer."""
    connection.execute(
        """
        UPDATE keywright.mutual_tls_client SET withdrawn_at = %(now)s
         WHERE organization_id = %(organization_id)s AND version_id = ANY (%(version_ids)s)
           AND withdrawn_at IS NULL
        """,
        {"organization_id": organization_id, "version_ids": list(version_ids), "now": now},
    )


def find_member(connection: Connection, organization_id: int, email: str) -> tuple[int, bool, bool]:
    """Return id, whether they are active, and whether they have ``enforce_mutual_tls`` (rule 34).

    Raises:
        NotFoundError: no member of the organization has this address; the text does not repeat it.
    """
    row: Any = connection.execute(
        """
        SELECT member_id, active, 'enforce_mutual_tls' = ANY (permissions)
          FROM keywright.member
         WHERE organization_id = %(organization_id)s AND lower(email) = lower(%(email)s)
        """,
        {"organization_id": organization_id, "email": email},
    ).fetchone()
    if row is None:
        raise NotFoundError(
            "member: no member of this organization has this address; `keywright member list` shows"
            " them."
        )
    return row[0], row[1], row[2]
