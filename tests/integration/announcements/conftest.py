from collections.abc import Iterator

import pytest

from tests.integration.announcements.town_crier import organization
from tests.integration.jobs.workbench import Workbench
from workers.database.pool import Connection, open_pool


@pytest.fixture
def acme(connection: Connection) -> int:
    """An organization."""
    return organization(connection, "Acme")


@pytest.fixture
def workbench(conninfo: str) -> Iterator[Workbench]:
    """A worker's tools, with one connection for its handlers."""
    with (
        open_pool(conninfo, size=4, name="ledger", index_only=True) as ledger,
        open_pool(conninfo, size=1, name="worker") as pool,
    ):
        workbench = Workbench(ledger, pool)
        yield workbench
        workbench.keeper.stop()
