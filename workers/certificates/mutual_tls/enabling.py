"""Switching mutual authentication on and off: rule 31 of the model."""

from datetime import datetime

from workers.announcements.store import announce
from workers.certificates.mutual_tls import store
from workers.contract.announcements import MutualTlsDisabled, MutualTlsEnabled
from workers.database.pool import Connection


def enable(connection: Connection, *, organization_id: int, by: str, now: datetime) -> bool:
    """Switch mutual authentication on; return whether it was off."""
    return _switch(connection, organization_id, since=now, told=MutualTlsEnabled(by=by))


def disable(connection: Connection, *, organization_id: int, by: str) -> bool:
    """Switch mutual authentication off; return whether it was on.

    Roots and client certificates stay as they are, and nobody accepts any of them meanwhile.
    """
    return _switch(connection, organization_id, since=None, told=MutualTlsDisabled(by=by))


def _switch(
    connection: Connection,
    organization_id: int,
    *,
    since: datetime | None,
    told: MutualTlsEnabled | MutualTlsDisabled,
) -> bool:
    with connection.transaction():
        is_news = store.switch(connection, organization_id, since=since)
        if is_news:
            announce(
                connection,
                told,
                organization_id=organization_id,
                subject=f"organization/{organization_id}",
            )
    return is_news
