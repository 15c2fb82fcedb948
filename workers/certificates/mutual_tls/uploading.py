"""Uploading a client certificate: checked, kept as any imported one, and accepted from then on."""

from dataclasses import dataclass
from datetime import datetime

from workers.announcements.store import announce
from workers.certificates import trusted_roots
from workers.certificates.mutual_tls import store
from workers.certificates.mutual_tls.client_checks import CheckedClient, check_client
from workers.certificates.mutual_tls.findings import UploadFault
from workers.certificates.mutual_tls.refusing import RefusedUploadError
from workers.certificates.mutual_tls.roots import trusted
from workers.certificates.mutual_tls.withdrawing import PLACE_KIND, place_of
from workers.certificates.reading.found import FoundCertificate
from workers.certificates.recognition import known_certificates
from workers.certificates.store import save_imported
from workers.certificates.usages import add_usage
from workers.certificates.versions import add_version
from workers.contract.announcements import ClientAccepted
from workers.database.pool import Connection


@dataclass(frozen=True, kw_only=True)
class UploadedClient:
    """A client certificate that is accepted now."""

    unique_name: str
    version_number: int
    version_id: int
    issuer: str
    serial: str
    fingerprint: bytes
    not_after: datetime
    warnings: tuple[UploadFault, ...]


def check_upload(
    connection: Connection, *, organization_id: int, data: bytes, source: str, now: datetime
) -> CheckedClient:
    """Say what would become of a PEM file; nothing is kept.

    Raises:
        MutualTlsOffError: mutual authentication is off.
    """
    store.check_enabled(connection, organization_id)
    roots = trusted(trusted_roots.list_roots(connection, organization_id))
    return check_client(data, source=source, roots=roots, now=now)


def upload_client(
    connection: Connection,
    *,
    organization_id: int,
    data: bytes,
    source: str,
    uploaded_by: str,
    now: datetime,
    member_id: int | None = None,
    unique_name: str | None = None,
    label: str | None = None,
    renews: str | None = None,
) -> UploadedClient:
    """Accept the client certificate of a PEM file, from ``member_id`` only or from any member.

    A new one is kept under a name of its own, so that its end is told of (rule 59), or is the next
    version of ``renews``; the older versions are accepted until they are withdrawn. One that is
    there already is accepted as it is, and uploading it twice changes nothing.

    Raises:
        MutualTlsOffError: mutual authentication is off.
        RefusedUploadError: it is not acceptable; every fault is listed.
        InvalidRequestError, NotFoundError, ConflictError: as ``save_imported`` and ``add_version``.
    """
    with connection.transaction():
        store.lock_enabled(connection, organization_id)
        checked = check_upload(
            connection, organization_id=organization_id, data=data, source=source, now=now
        )
        if checked.found is None or checked.root_fingerprint is None:
            raise RefusedUploadError("The certificate was not accepted", checked.faults)
        found = checked.found
        _keep(
            connection,
            organization_id=organization_id,
            found=found,
            unique_name=unique_name,
            label=label,
            renews=renews,
            now=now,
        )
        version_id, name, number = store.find_version(
            connection, organization_id, found.fingerprint
        )
        store.accept_client(
            connection,
            organization_id,
            version_id,
            member_id=member_id,
            root_fingerprint=checked.root_fingerprint,
            uploaded_by=uploaded_by,
            now=now,
        )
        add_usage(
            connection,
            organization_id=organization_id,
            unique_name=name,
            version_number=number,
            place_kind=PLACE_KIND,
            place=place_of(found.fingerprint),
            now=now,
        )
        announce(
            connection,
            ClientAccepted(
                unique_name=name,
                version_number=number,
                fingerprint=found.fingerprint.hex(),
                not_after=found.not_after,
                member_id=member_id,
                by=uploaded_by,
            ),
            organization_id=organization_id,
            subject=f"certificate-version/{version_id}",
        )
    return UploadedClient(
        unique_name=name,
        version_number=number,
        version_id=version_id,
        issuer=found.issuer,
        serial=found.serial,
        fingerprint=found.fingerprint,
        not_after=found.not_after,
        warnings=checked.warnings,
    )


def _keep(
    connection: Connection,
    *,
    organization_id: int,
    found: FoundCertificate,
    unique_name: str | None,
    label: str | None,
    renews: str | None,
    now: datetime,
) -> None:
    known = known_certificates(connection, organization_id, [found.fingerprint])
    if renews is None:
        save_imported(
            connection,
            organization_id=organization_id,
            found=[found],
            now=now,
            label=label,
            unique_name=None if known else unique_name,
        )
    elif known.get(found.fingerprint, "").lower() != renews.lower():
        add_version(
            connection,
            organization_id=organization_id,
            unique_name=renews,
            found=found,
            now=now,
        )
