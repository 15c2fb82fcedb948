"""Deciding about a call with what the database says at this moment: no delay, no cache."""

from datetime import datetime

from workers.certificates.mutual_tls import store
from workers.certificates.mutual_tls.decision import (
    Caller,
    Decision,
    Door,
    KnownClient,
    KnownClients,
    PresentedCertificate,
    decide,
)
from workers.certificates.mutual_tls.store import ClientRow
from workers.database.pool import Connection


def decide_call(
    connection: Connection,
    *,
    organization_id: int,
    email: str,
    door: Door,
    presented: PresentedCertificate | None,
    now: datetime,
) -> Decision:
    """Say whether a call of the member with this address may go on: rules 34 and 35.

    Raises:
        NotFoundError: there is no such member; the call has to be refused.
    """
    member_id, is_active, enforces = store.find_member(connection, organization_id, email)
    return decide(
        Caller(member_id=member_id, is_active=is_active, enforces_mutual_tls=enforces),
        door=door,
        presented=presented,
        known=known_clients(connection, organization_id, presented),
        now=now,
    )


def known_clients(
    connection: Connection, organization_id: int, presented: PresentedCertificate | None
) -> KnownClients:
    """Return what is known of the certificate that was presented."""
    is_enabled = store.enabled_since(connection, organization_id) is not None
    if presented is None or not is_enabled:
        return KnownClients(is_enabled=is_enabled)
    rows = store.list_clients(connection, organization_id, fingerprints=[presented.fingerprint])
    return KnownClients(
        is_enabled=True, by_fingerprint={each.fingerprint: as_known(each) for each in rows}
    )


def as_known(row: ClientRow) -> KnownClient:
    """Return a row as it is decided about."""
    return KnownClient(
        unique_name=row.unique_name,
        version_number=row.version_number,
        not_before=row.not_before,
        not_after=row.not_after,
        member_id=row.member_id,
        is_withdrawn=row.withdrawn_at is not None,
        root_is_trusted=row.root_is_trusted,
    )
