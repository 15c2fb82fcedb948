from collections.abc import Iterator

import pytest

from tests.integration.jobs.workbench import Workbench
from workers.database.pool import open_pool


@pytest.fixture
def workbench(conninfo: str) -> Iterator[Workbench]:
    """A worker's tools."""
    with (
        open_pool(conninfo, size=4, name="ledger", index_only=True) as ledger,
        open_pool(conninfo, size=2, name="worker") as pool,
    ):
        workbench = Workbench(ledger, pool)
        yield workbench
        workbench.keeper.stop()
