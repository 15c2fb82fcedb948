"""What is announced of master keys, in the transaction in which it happens."""

from workers.announcements.store import announce
from workers.contract.announcements.keys import AboutMasterKey
from workers.database.pool import Connection


def tell(connection: Connection, told: AboutMasterKey, *, organization_id: int) -> None:
    """Announce what happened to the key of the number that ``told`` has."""
    announce(
        connection,
        told,
        organization_id=organization_id,
        subject=f"master-key/{organization_id}/{told.number}",
    )
