"""Usages: the places where certificates are used, and which version each has. SQL only.

Locks and notices are seen to by triggers on ``keywright.usage``, so that whoever changes usages in
plain SQL leads to the same; here are the questions asked before, and answers that people can read.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from workers.certificates.locking import (
    LockedCertificate,
    lock_certificate,
    lock_certificate_by_id,
    lock_certificates,
)
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError, NotFoundError

_MAX_PLACE = 200


@dataclass(frozen=True, kw_only=True)
class Usage:
    """A place and the version it has; ``replaced`` says that a newer one waits to be deployed."""

    usage_id: int
    place_kind: str
    place: str
    unique_name: str
    version_number: int
    not_after: datetime
    replaced: bool
    registered_at: datetime


def add_usage(
    connection: Connection,
    *,
    organization_id: int,
    unique_name: str,
    place_kind: str,
    place: str,
    now: datetime,
    version_number: int | None = None,
) -> int:
    """Register that a place uses a certificate, and return the usage's id.

    ``place_kind`` is a word such as ``saml_configuration``, ``place`` any name. Without
    ``version_number`` the place has the newest version that is signed. Where it is registered so
    already, nothing changes.

    Raises:
        InvalidRequestError: ``place_kind`` or ``place`` is not a proper one.
        NotFoundError: there is no such certificate or version.
        ConflictError: the place uses another certificate, or another version; or the retired
            default would be selected (rule 65).
    """
    _check_place(place_kind, place)
    with connection.transaction():
        certificate = lock_certificate(connection, organization_id, unique_name)
        version_id = _version_to_use(connection, certificate, version_number)
        _refuse_retired_default(connection, place_kind, version_id)
        values = {
            "organization_id": organization_id,
            "version_id": version_id,
            "place_kind": place_kind,
            "place": place,
            "now": now,
        }
        row = connection.execute(
            """
            INSERT INTO keywright.usage
                   (organization_id, version_id, place_kind, place, registered_at)
            VALUES (%(organization_id)s, %(version_id)s, %(place_kind)s, %(place)s, %(now)s)
                ON CONFLICT ON CONSTRAINT a_place_uses_one_version DO NOTHING
            RETURNING usage_id
            """,
            values,
        ).fetchone()
        if row is None:
            row = connection.execute(
                """
                SELECT usage_id FROM keywright.usage
                 WHERE organization_id = %(organization_id)s
                   AND place_kind = %(place_kind)s AND place = %(place)s
                   AND version_id = %(version_id)s
                """,
                values,
            ).fetchone()
    if row is None:
        raise ConflictError(
            f"{place_kind}: {place} uses a certificate already; move that usage instead."
        )
    return int(row[0])


def move_usage(
    connection: Connection,
    *,
    organization_id: int,
    place_kind: str,
    place: str,
    unique_name: str,
    version_number: int | None = None,
) -> None:
    """Record that a place has switched to ``unique_name``, by default to its newest signed version.

    A replaced version that no place has any more is told of no longer.

    Raises:
        NotFoundError: there is no such usage, certificate or version.
    """
    with connection.transaction():
        usage_id, left = _lock_usage(connection, organization_id, place_kind, place)
        certificate = lock_certificates(connection, organization_id, unique_name, also=left)
        version_id = _version_to_use(connection, certificate, version_number)
        _refuse_retired_default(connection, place_kind, version_id)
        connection.execute(
            """
            UPDATE keywright.usage SET version_id = %(version_id)s WHERE usage_id = %(usage_id)s
            """,
            {"version_id": version_id, "usage_id": usage_id},
        )


def remove_usage(
    connection: Connection, *, organization_id: int, place_kind: str, place: str
) -> None:
    """Record that a place uses no certificate any more.

    A replaced version that no place has any more is told of no longer.

    Raises:
        NotFoundError: there is no such usage.
    """
    with connection.transaction():
        usage_id, left = _lock_usage(connection, organization_id, place_kind, place)
        lock_certificate_by_id(connection, left)
        connection.execute(
            "DELETE FROM keywright.usage WHERE usage_id = %(usage_id)s", {"usage_id": usage_id}
        )


def list_usages(
    connection: Connection, *, organization_id: int, unique_name: str | None = None
) -> list[Usage]:
    """Return the usages of one certificate, or of all, by certificate and place."""
    with connection.cursor(row_factory=class_row(Usage)) as cursor:
        return cursor.execute(
            """
            SELECT usage_id, place_kind, place, unique_name, version_number, not_after,
                   replaced_at IS NOT NULL AS replaced, registered_at
              FROM keywright.usage
              JOIN keywright.certificate_version USING (organization_id, version_id)
              JOIN keywright.certificate USING (organization_id, certificate_id)
             WHERE organization_id = %(organization_id)s
               AND (%(unique_name)s::text IS NULL OR lower(unique_name) = lower(%(unique_name)s))
             ORDER BY lower(unique_name), place_kind, place
            """,
            {"organization_id": organization_id, "unique_name": unique_name},
        ).fetchall()


def _check_place(place_kind: str, place: str) -> None:
    if not re.fullmatch("[a-z][a-z_]*", place_kind):
        raise InvalidRequestError(
            "place_kind: small letters and underscores, such as saml_configuration or api_client."
        )
    if not (0 < len(place) <= _MAX_PLACE and place.isprintable() and place == place.strip()):
        raise InvalidRequestError(
            f"place: 1 to {_MAX_PLACE} printable characters without blanks at its ends."
        )


def _version_to_use(
    connection: Connection, certificate: LockedCertificate, version_number: int | None
) -> int:
    """Return the id of a signed version, the newest by default (rule 13)."""
    row = connection.execute(
        """
        SELECT version_id
          FROM keywright.certificate_version
         WHERE certificate_id = %(certificate_id)s AND not_after IS NOT NULL
           AND (%(version_number)s::integer IS NULL OR version_number = %(version_number)s)
         ORDER BY version_number DESC
         LIMIT 1
        """,
        {"certificate_id": certificate.certificate_id, "version_number": version_number},
    ).fetchone()
    if row is None:
        wanted = "version" if version_number is None else f"version {version_number}"
        raise NotFoundError(
            f"“{certificate.unique_name}” has no signed {wanted}; `keywright certificate show`"
            " lists its versions."
        )
    return int(row[0])


def _refuse_retired_default(connection: Connection, place_kind: str, version_id: int) -> None:
    """Pass unless a SAML configuration would select the retired default certificate (rule 65)."""
    row = connection.execute(
        """
        SELECT FROM keywright.certificate_version
          JOIN keywright.retired_default USING (fingerprint)
         WHERE version_id = %(version_id)s AND %(place_kind)s = 'saml_configuration'
        """,
        {"version_id": version_id, "place_kind": place_kind},
    ).fetchone()
    if row is not None:
        raise ConflictError(
            "That is a retired default certificate, which no SAML configuration may select; choose"
            " one of the organization."
        )


def _lock_usage(
    connection: Connection, organization_id: int, place_kind: str, place: str
) -> tuple[int, int]:
    """Lock a usage; return its id and that of the certificate it has."""
    usage = connection.execute(
        """
        SELECT usage_id, version_id FROM keywright.usage
         WHERE organization_id = %(organization_id)s
           AND place_kind = %(place_kind)s AND place = %(place)s
           FOR UPDATE
        """,
        {"organization_id": organization_id, "place_kind": place_kind, "place": place},
    ).fetchone()
    if usage is None:
        raise NotFoundError(
            f"{place_kind}: {place} uses no certificate of this organization; `keywright"
            " certificate show` lists the places of each."
        )
    usage_id, version_id = usage
    # Not joined above: a row that was moved while we waited for it would not match its version.
    certificate: Any = connection.execute(
        """
        SELECT certificate_id FROM keywright.certificate_version
         WHERE version_id = %(version_id)s
        """,
        {"version_id": version_id},
    ).fetchone()
    return usage_id, certificate[0]
