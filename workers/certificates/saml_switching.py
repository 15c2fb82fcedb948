"""Which certificate SAML configurations have, and switching many of them at once. SQL only."""

from collections.abc import Sequence
from datetime import datetime

from workers.announcements.store import announce
from workers.certificates.candidates import load_candidates
from workers.certificates.locking import lock_organization
from workers.certificates.moving import lock_certificates_of, lock_usages, move_usages
from workers.certificates.replacement.plan import VersionRef
from workers.certificates.replacement.successor import SAML_PLACE
from workers.certificates.saml.store import find_configuration, version_that_signs
from workers.contract.announcements import CertificateSelected
from workers.database.pool import Connection
from workers.errors import ConflictError


def select_certificate(
    connection: Connection,
    *,
    organization_id: int,
    name: str,
    certificate: VersionRef,
    actor: str,
    now: datetime,
) -> VersionRef:
    """Switch one configuration to a certificate at once, without both being accepted meanwhile.

    Raises:
        NotFoundError: there is no such configuration, certificate or version.
        ConflictError: it cannot sign SAML requests, or somebody changes the place at this moment.
    """
    with connection.transaction():
        found = find_configuration(connection, organization_id=organization_id, name=name)
        version_id = version_that_signs(connection, organization_id, certificate, now=now)
        if found.version_id != version_id:
            switch(connection, organization_id, [found.name], version_id, actor=actor, now=now)
    return load_candidates(connection, [version_id])[version_id].ref


def on_default(connection: Connection, organization_id: int) -> tuple[str, list[str]]:
    """Return an organization's name, and its configurations with the retired default, or none."""
    row = connection.execute(
        """
        SELECT organization.name,
               array_agg(configuration.name ORDER BY lower(configuration.name))
                   FILTER (WHERE check_state = 'uses_default')
          FROM keywright.organization
          LEFT JOIN keywright.saml_configuration AS configuration USING (organization_id)
         WHERE organization_id = %(organization_id)s
         GROUP BY organization.name
        """,
        {"organization_id": organization_id},
    ).fetchone()
    assert row is not None
    return row[0], row[1] or []


def switch(
    connection: Connection,
    organization_id: int,
    names: Sequence[str],
    version_id: int,
    *,
    actor: str,
    now: datetime,
    only_on_default: bool = False,
) -> list[str]:
    """Let configurations have a version; return which of them had another, or none."""
    usages = lock_usages(
        connection, organization_id=organization_id, place_kind=SAML_PLACE, places=names
    )
    lock_organization(connection, organization_id)
    left = sorted({each.version_id for each in usages} - {version_id})
    lock_certificates_of(connection, [version_id, *left])
    if only_on_default:  # still, and not since somebody else has switched it
        _, still = on_default(connection, organization_id)
        names = [name for name in names if name in still]
    moving = [each for each in usages if each.version_id != version_id and each.place in names]
    move_usages(
        connection, [each.usage_id for each in moving], to_version_id=version_id, from_=left
    )
    added = connection.execute(
        """
        INSERT INTO keywright.usage (organization_id, version_id, place_kind, place, registered_at)
        SELECT organization_id, %(version_id)s, 'saml_configuration', name, %(now)s
          FROM keywright.saml_configuration
         WHERE organization_id = %(organization_id)s AND name = ANY (%(names)s)
           AND name <> ALL (%(used)s)
            ON CONFLICT ON CONSTRAINT a_place_uses_one_version DO NOTHING
        RETURNING place
        """,
        {
            "organization_id": organization_id,
            "version_id": version_id,
            "names": list(names),
            "used": [each.place for each in usages],
            "now": now,
        },
    ).fetchall()
    switched = sorted([*(each.place for each in moving), *(row[0] for row in added)])
    candidate = load_candidates(connection, [version_id])[version_id]
    if candidate.is_deleted or candidate.is_retired_default:
        raise ConflictError(f"{candidate.ref} was deleted or retired meanwhile; choose another.")
    if switched:
        announce(
            connection,
            CertificateSelected(
                unique_name=candidate.ref.unique_name,
                version_number=candidate.ref.version_number,
                saml_configurations=switched,
                actor=actor,
            ),
            organization_id=organization_id,
            subject=f"certificate/{candidate.certificate_id}",
        )
    return switched
