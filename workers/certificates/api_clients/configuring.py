"""Configuring a client: its files, what was handed out, and where the certificate is used now."""

from collections.abc import Callable
from datetime import datetime

from workers.announcements.store import announce
from workers.audit.recording import record
from workers.certificates.api_clients.files import ClientRequest, client_files
from workers.certificates.api_clients.identity import Identity
from workers.certificates.api_clients.store import ClientVersion, find_client_version
from workers.certificates.private_keys import PrivateKeys
from workers.certificates.usages import add_usage, list_usages, move_usage
from workers.contract.announcements import ApiClientConfigured
from workers.database.pool import Connection
from workers.errors import ConflictError

PLACE_KIND = "api_client"


def find_identity(
    connection: Connection,
    *,
    organization_id: int,
    unique_name: str,
    version_number: int | None,
    now: datetime,
) -> tuple[ClientVersion, Identity]:
    """Return the version that a client is to present, as yet without its private key.

    Raises:
        NotFoundError: there is no such signed certificate or version.
        ConflictError: it has ended.
    """
    version = find_client_version(
        connection,
        organization_id=organization_id,
        unique_name=unique_name,
        version_number=version_number,
    )
    if version.not_after < now:
        raise ConflictError(
            f"“{version.unique_name}” ended on {version.not_after:%Y-%m-%d}; renew it first."
        )
    return version, Identity(
        unique_name=version.unique_name,
        version_number=version.version_number,
        not_after=version.not_after,
        certificate=bytes(version.certificate_der),
        chain=tuple(bytes(der) for der in version.chain_der),
    )


def open_private_key(
    connection: Connection,
    private_keys: PrivateKeys,
    *,
    organization_id: int,
    version: ClientVersion,
) -> bytes:
    """Return the private key (PKCS #8 DER) of a version, if it is here and may leave.

    Raises:
        ConflictError: it is not here, or was made not to leave (rule 6).
        PermanentError, RootKeyUnavailableError: it cannot be opened.
    """
    if not version.has_private_key:
        raise ConflictError(
            f"The private key of “{version.unique_name}” is not here; name the file that it is in"
            " (--key-file)."
        )
    if not version.private_key_exportable:
        raise ConflictError(
            f"The private key of “{version.unique_name}” was made never to leave; create a"
            " certificate whose key is exportable, or name a file (--key-file)."
        )
    opened = private_keys.open(
        connection, organization_id=organization_id, version_ids=[version.version_id]
    )
    return opened[version.version_id]


def configure_client(
    connection: Connection,
    *,
    organization_id: int,
    version: ClientVersion,
    identity: Identity,
    request: ClientRequest,
    place: str | None,
    by: str,
    now: datetime,
    write: Callable[[dict[str, bytes]], None],
) -> list[str]:
    """Write the files and record that they were, both or neither; return the files' names.

    With ``place``, the certificate is used there from now on.

    Raises:
        InvalidRequestError, ConflictError, NotFoundError: as ``client_files`` and ``add_usage``.
    """
    files = client_files(request, identity)
    with connection.transaction():
        if place is not None:
            _register(connection, organization_id, version, place, now)
        announce(
            connection,
            ApiClientConfigured(
                unique_name=version.unique_name,
                version_number=version.version_number,
                program=request.program.value,
                private_key_left=identity.private_key is not None and request.key_file is None,
                place=place,
                by=by,
            ),
            organization_id=organization_id,
            subject=f"certificate-version/{version.version_id}",
        )
        record(
            connection,
            action="api_client.configure",
            object_name=f"certificate-version/{version.version_id}",
            organization_id=organization_id,
            after={
                "program": request.program.value,
                "private_key_left": identity.private_key is not None and request.key_file is None,
                "place": place,
            },
        )
        # Last, so that no key leaves unrecorded but by the failure of this very commit.
        write(files)
    return sorted(files)


def _register(
    connection: Connection, organization_id: int, version: ClientVersion, place: str, now: datetime
) -> None:
    usages = list_usages(connection, organization_id=organization_id)
    if any((each.place_kind, each.place) == (PLACE_KIND, place) for each in usages):
        move_usage(
            connection,
            organization_id=organization_id,
            place_kind=PLACE_KIND,
            place=place,
            unique_name=version.unique_name,
            version_number=version.version_number,
        )
    else:
        add_usage(
            connection,
            organization_id=organization_id,
            place_kind=PLACE_KIND,
            place=place,
            unique_name=version.unique_name,
            version_number=version.version_number,
            now=now,
        )
