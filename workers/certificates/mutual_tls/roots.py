"""Adding and removing the roots that clients' certificates may lead to."""

from dataclasses import dataclass
from datetime import datetime

from workers.announcements.store import announce
from workers.certificates import trusted_roots
from workers.certificates.mutual_tls import store
from workers.certificates.mutual_tls.client_checks import TrustedRoot
from workers.certificates.mutual_tls.public_roots import public_roots
from workers.certificates.mutual_tls.refusing import RefusedUploadError
from workers.certificates.mutual_tls.root_checks import check_roots, is_public
from workers.certificates.mutual_tls.store import ClientRow
from workers.certificates.mutual_tls.withdrawing import lock_places, withdraw_rows
from workers.certificates.reading.fields import read_certificate
from workers.certificates.trusted_roots import RootRow
from workers.contract.announcements import RootRemoved, RootTrusted
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError, NotFoundError

_LEAST_DIGITS = 8


@dataclass(frozen=True, kw_only=True)
class AddedRoot:
    """A root that is trusted now; ``is_public``: public authorities certify no clients any more."""

    fingerprint: bytes
    subject: str
    not_after: datetime
    is_public: bool


def add_roots(
    connection: Connection,
    *,
    organization_id: int,
    data: bytes,
    source: str,
    public: bool | None,
    added_by: str,
    now: datetime,
) -> list[AddedRoot]:
    """Trust the roots of a PEM file, all of them or none; those trusted already stay.

    ``public`` None: a root is public if browsers trust it (Mozilla's list).

    Raises:
        MutualTlsOffError: mutual authentication is off.
        RefusedUploadError: something is wrong with the file; every fault is listed.
    """
    with connection.transaction():
        store.lock_enabled(connection, organization_id)
        checked = check_roots(data, source=source, now=now)
        if checked.faults:
            raise RefusedUploadError("No root was added", checked.faults)
        known = public_roots() if public is None else frozenset()
        added = [
            AddedRoot(
                fingerprint=each.fingerprint,
                subject=each.subject,
                not_after=each.not_after,
                is_public=is_public(each, known) if public is None else public,
            )
            for each in checked.roots
        ]
        trusted_roots.insert_roots(
            connection,
            organization_id,
            checked.roots,
            is_public=[each.is_public for each in added],
            added_by=added_by,
            now=now,
        )
        for each in added:
            announce(
                connection,
                RootTrusted(subject=each.subject, is_public=each.is_public, by=added_by),
                organization_id=organization_id,
                subject=f"root/{each.fingerprint.hex()}",
            )
    return added


def list_roots(connection: Connection, *, organization_id: int) -> list[RootRow]:
    """Return the trusted roots by subject.

    Raises:
        MutualTlsOffError: mutual authentication is off.
    """
    store.check_enabled(connection, organization_id)
    return trusted_roots.list_roots(connection, organization_id)


def remove_root(
    connection: Connection,
    *,
    organization_id: int,
    fingerprint: str,
    with_clients: bool,
    removed_by: str,
    now: datetime,
) -> RootRow:
    """Trust a root no longer, and return it; ``fingerprint`` is as much of it as tells it apart.

    Certificates that lead to it are withdrawn with it, if ``with_clients`` says so.

    Raises:
        MutualTlsOffError: mutual authentication is off.
        NotFoundError, InvalidRequestError: none, or several, have this fingerprint.
        ConflictError: accepted certificates lead to it; each is listed.
    """
    with connection.transaction():
        store.check_enabled(connection, organization_id)
        root = _only(trusted_roots.list_roots(connection, organization_id), fingerprint)
        # Locks in their order: the usages, and only then the organization.
        lock_places(connection, organization_id, _clients_below(connection, organization_id, root))
        store.lock_enabled(connection, organization_id)
        clients = _clients_below(connection, organization_id, root)
        if clients and not with_clients:
            listed = "\n".join(
                f"- {each.unique_name} (version {each.version_number})" for each in clients
            )
            raise ConflictError(
                f"Accepted certificates lead to “{root.subject}”; withdraw each first, or all with"
                f" it (--with-clients):\n{listed}"
            )
        withdraw_rows(
            connection, organization_id=organization_id, rows=clients, by=removed_by, now=now
        )
        trusted_roots.delete_root(connection, organization_id, root.fingerprint)
        announce(
            connection,
            RootRemoved(subject=root.subject, clients=len(clients), by=removed_by),
            organization_id=organization_id,
            subject=f"root/{root.fingerprint.hex()}",
        )
    return root


def trusted(rows: list[RootRow]) -> list[TrustedRoot]:
    """Return roots as they are checked against."""
    return [
        TrustedRoot(
            found=read_certificate(
                each.certificate_der, source="the trusted roots", position=position
            ),
            is_public=each.is_public,
        )
        for position, each in enumerate(rows, start=1)
    ]


def _clients_below(connection: Connection, organization_id: int, root: RootRow) -> list[ClientRow]:
    """Return the accepted clients that lead to a root."""
    return [
        each
        for each in store.list_clients(connection, organization_id)
        if each.withdrawn_at is None and each.root_fingerprint == root.fingerprint
    ]


def _only(rows: list[RootRow], fingerprint: str) -> RootRow:
    wanted = fingerprint.replace(":", "").lower()
    if len(wanted) < _LEAST_DIGITS or set(wanted) - set("0123456789abcdef"):
        raise InvalidRequestError(
            f"fingerprint: at least {_LEAST_DIGITS} hexadecimal digits of it, as `keywright"
            " mutual-tls root list` shows it."
        )
    found = [each for each in rows if each.fingerprint.hex().startswith(wanted)]
    if not found:
        raise NotFoundError(
            "No trusted root has this fingerprint; `keywright mutual-tls root list` shows them."
        )
    if len(found) > 1:
        raise InvalidRequestError("fingerprint: several roots begin with it; give more of it.")
    return found[0]
