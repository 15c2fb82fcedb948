"""Accepting client certificates no longer."""

from collections.abc import Sequence
from datetime import datetime

from workers.announcements.store import announce
from workers.certificates.moving import LockedUsage, lock_usages
from workers.certificates.mutual_tls import store
from workers.certificates.mutual_tls.store import ClientRow
from workers.contract.announcements import ClientWithdrawn
from workers.database.pool import Connection
from workers.errors import ConflictError, NotFoundError

PLACE_KIND = "mutual_tls_client"
"""The kind of usage of an accepted certificate: it is not deleted, and warns when replaced."""


def place_of(fingerprint: bytes) -> str:
    """Return the name of the place that an accepted certificate is used in."""
    return fingerprint.hex()[:16]


def withdraw(
    connection: Connection,
    *,
    organization_id: int,
    unique_name: str,
    version_number: int | None = None,
    by: str,
    now: datetime,
) -> list[ClientRow]:
    """Accept the versions of a certificate no longer, or one of them; return those.

    The certificate itself stays where it is, and can be deleted now.

    Raises:
        MutualTlsOffError: mutual authentication is off.
        NotFoundError: there is no such client certificate.
        ConflictError: it was withdrawn already.
    """
    with connection.transaction():
        store.check_enabled(connection, organization_id)
        rows = [
            each
            for each in store.list_clients(connection, organization_id)
            if each.unique_name.lower() == unique_name.lower()
            and version_number in (None, each.version_number)
        ]
        if not rows:
            raise NotFoundError(
                f"There is no client certificate named “{unique_name}”, or not this version of it;"
                " `keywright mutual-tls list` shows them."
            )
        accepted = [each for each in rows if each.withdrawn_at is None]
        if not accepted:
            raise ConflictError(f"“{rows[0].unique_name}” was withdrawn already.")
        withdraw_rows(connection, organization_id=organization_id, rows=accepted, by=by, now=now)
    return accepted


def withdraw_rows(
    connection: Connection,
    *,
    organization_id: int,
    rows: Sequence[ClientRow],
    by: str,
    now: datetime,
) -> None:
    """Withdraw clients and remove their usages, in the order of locks."""
    usages = lock_places(connection, organization_id, rows)
    store.remove_usages(connection, [each.usage_id for each in usages])
    store.withdraw_clients(connection, organization_id, [each.version_id for each in rows], now=now)
    for each in rows:
        announce(
            connection,
            ClientWithdrawn(
                unique_name=each.unique_name,
                version_number=each.version_number,
                fingerprint=each.fingerprint.hex(),
                by=by,
            ),
            organization_id=organization_id,
            subject=f"certificate-version/{each.version_id}",
        )


def lock_places(
    connection: Connection, organization_id: int, rows: Sequence[ClientRow]
) -> list[LockedUsage]:
    """Lock the usages of clients."""
    return lock_usages(
        connection,
        organization_id=organization_id,
        place_kind=PLACE_KIND,
        places=[place_of(each.fingerprint) for each in rows],
    )
