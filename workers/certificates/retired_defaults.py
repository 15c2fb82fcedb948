"""Leaving a retired default certificate behind: rules 65 and 66. SQL only.

The database refuses it to every SAML configuration, whoever asks; here others get out of it.
"""

from dataclasses import dataclass
from datetime import datetime

from workers.certificates.candidates import find_successor, load_candidates
from workers.certificates.issuing import generate_automatically
from workers.certificates.replacement.plan import VersionRef
from workers.certificates.saml.store import version_that_signs
from workers.certificates.saml_switching import on_default, switch
from workers.certificates.tools import CertificateTools
from workers.database.pool import Connection
from workers.errors import ConflictError


@dataclass(frozen=True, kw_only=True)
class SwitchedConfigurations:
    """Which configurations of an organization have which certificate now; None: none had to."""

    organization_id: int
    organization: str
    certificate: VersionRef | None
    names: tuple[str, ...]


def retire_default(
    connection: Connection,
    *,
    organization_id: int,
    certificate: VersionRef,
    actor: str,
    now: datetime,
) -> int:
    """Let no SAML configuration select a certificate any more, in whatever organization it is.

    Returns how many configurations have it now, and are to be switched.

    Raises:
        NotFoundError: there is no such certificate or version.
    """
    with connection.transaction():
        version_id = find_successor(connection, organization_id, certificate)
        values = {"version_id": version_id, "actor": actor, "now": now}
        # Nobody selects it meanwhile: whoever does locks the certificate first.
        connection.execute(
            """
            SELECT certificate_id FROM keywright.certificate
             WHERE certificate_id IN (
                   SELECT copy.certificate_id
                     FROM keywright.certificate_version AS copy
                     JOIN keywright.certificate_version AS version USING (fingerprint)
                    WHERE version.version_id = %(version_id)s)
             ORDER BY certificate_id
               FOR NO KEY UPDATE
            """,
            values,
        )
        connection.execute(
            """
            INSERT INTO keywright.retired_default (fingerprint, subject, retired_by, retired_at)
            SELECT fingerprint, subject, %(actor)s, %(now)s FROM keywright.certificate_version
             WHERE version_id = %(version_id)s
                ON CONFLICT DO NOTHING
            """,
            values,
        )
        return connection.execute(
            """
            UPDATE keywright.saml_configuration AS configuration
               SET check_state = 'uses_default', checked_at = %(now)s
              FROM keywright.usage
              JOIN keywright.certificate_version AS used USING (version_id)
              JOIN keywright.certificate_version AS version USING (fingerprint)
             WHERE version.version_id = %(version_id)s
               AND usage.organization_id = configuration.organization_id
               AND usage.place_kind = 'saml_configuration' AND usage.place = configuration.name
            """,
            values,
        ).rowcount


def reinstate_default(
    connection: Connection, *, organization_id: int, certificate: VersionRef, now: datetime
) -> int:
    """Let a certificate that was retired by mistake be selected again; the way back.

    Returns how many configurations have it, and are to be tried.

    Raises:
        NotFoundError: there is no such certificate or version.
        ConflictError: it is not retired.
    """
    with connection.transaction():
        version_id = find_successor(connection, organization_id, certificate)
        values = {"version_id": version_id, "now": now}
        if not connection.execute(
            """
            DELETE FROM keywright.retired_default AS retired
             USING keywright.certificate_version AS version
             WHERE version.version_id = %(version_id)s
               AND version.fingerprint = retired.fingerprint
            """,
            values,
        ).rowcount:
            raise ConflictError(
                f"Certificate {certificate.unique_name} is no retired default; nothing was changed."
            )
        return connection.execute(
            """
            UPDATE keywright.saml_configuration AS configuration
               SET check_state = 'switched', checked_at = %(now)s
              FROM keywright.usage
              JOIN keywright.certificate_version AS used USING (version_id)
              JOIN keywright.certificate_version AS version USING (fingerprint)
             WHERE version.version_id = %(version_id)s
               AND usage.organization_id = configuration.organization_id
               AND usage.place_kind = 'saml_configuration' AND usage.place = configuration.name
            """,
            values,
        ).rowcount


def enable_multiple(
    connection: Connection,
    tools: CertificateTools,
    *,
    organization_id: int,
    certificate: VersionRef | None,
    actor: str,
    now: datetime,
) -> SwitchedConfigurations:
    """Let an organization have several configurations; none keeps the retired default (rule 65).

    Raises:
        NotFoundError, ConflictError: as ``replace_default``.
    """
    switched = replace_default(
        connection,
        tools,
        organization_id=organization_id,
        certificate=certificate,
        actor=actor,
        now=now,
    )
    connection.execute(
        """
        INSERT INTO keywright.saml_multiple (organization_id, enabled_by, enabled_at)
        VALUES (%(organization_id)s, %(actor)s, %(now)s)
            ON CONFLICT DO NOTHING
        """,
        {"organization_id": organization_id, "actor": actor, "now": now},
    )
    return switched


def replace_default(
    connection: Connection,
    tools: CertificateTools,
    *,
    organization_id: int,
    certificate: VersionRef | None,
    actor: str,
    now: datetime,
) -> SwitchedConfigurations:
    """Switch each configuration that has the retired default, or none, to one certificate.

    Without ``certificate`` it is the one that was made automatically, made now if there is none
    (rule 11). Whatever has a certificate of its own stays; so doing it again changes nothing.
    ``connection`` commits by itself, so that nothing is held while a key is generated.

    Raises:
        NotFoundError: there is no such certificate or version.
        ConflictError: it cannot sign SAML requests.
    """
    organization, names = on_default(connection, organization_id)
    version_id = None
    if certificate is not None:
        version_id = version_that_signs(connection, organization_id, certificate, now=now)
    elif names:
        version_id = _automatic(connection, organization_id, now=now)
        if version_id is None:
            version_id = generate_automatically(
                connection, tools, organization_id=organization_id, now=now, requested_by=actor
            ).version_id
    ref = None
    if version_id is not None and names:
        with connection.transaction():
            names = switch(
                connection,
                organization_id,
                names,
                version_id,
                only_on_default=True,
                actor=actor,
                now=now,
            )
        ref = load_candidates(connection, [version_id])[version_id].ref
    return SwitchedConfigurations(
        organization_id=organization_id,
        organization=organization,
        certificate=ref if names else None,
        names=tuple(names),
    )


def organizations_on_default(connection: Connection) -> list[int]:
    """Return the organizations that have configurations with the retired default, or none."""
    rows = connection.execute(
        """
        SELECT DISTINCT organization_id FROM keywright.saml_configuration
         WHERE check_state = 'uses_default'
         ORDER BY organization_id
        """
    ).fetchall()
    return [row[0] for row in rows]


def _automatic(connection: Connection, organization_id: int, *, now: datetime) -> int | None:
    """Return the newest version of a certificate made by rule 11 that can sign, if there is one."""
    row = connection.execute(
        """
        SELECT version_id
          FROM keywright.certificate
          JOIN keywright.certificate_version AS version USING (organization_id, certificate_id)
         WHERE organization_id = %(organization_id)s AND deleted_at IS NULL
           AND unique_name LIKE 'SelfSignedCert\\_%%' AND kind = 'self_signed'
           AND private_key IS NOT NULL AND replaced_at IS NULL AND not_after > %(now)s
           AND key_algorithm = 'RSA'
           AND NOT EXISTS (SELECT FROM keywright.retired_default AS retired
                            WHERE retired.fingerprint = version.fingerprint)
         ORDER BY not_after DESC
         LIMIT 1
        """,
        {"organization_id": organization_id, "now": now},
    ).fetchone()
    return row and int(row[0])
