from collections.abc import Iterator

import pytest

from tests.integration.jobs.workbench import Workbench
from workers.database.pool import Pool, open_pool


@pytest.fixture
def ledger(conninfo: str) -> Iterator[Pool]:
    """A worker's connections to the ledger, in a fresh database."""
    with open_pool(conninfo, size=4, name="ledger", index_only=True) as ledger:
        yield ledger


@pytest.fixture
def pool(conninfo: str) -> Iterator[Pool]:
    """The connections of handlers to the same database: one, as for a worker with one thread."""
    with open_pool(conninfo, size=1, name="worker") as pool:
        yield pool


@pytest.fixture
def workbench(ledger: Pool, pool: Pool) -> Iterator[Workbench]:
    """A worker's tools with the usual lease."""
    workbench = Workbench(ledger, pool)
    yield workbench
    workbench.keeper.stop()


@pytest.fixture
def hasty_workbench(ledger: Pool, pool: Pool) -> Iterator[Workbench]:
    """A worker's tools with a lease of less than half a second."""
    workbench = Workbench(ledger, pool, lease_seconds=0.4)
    yield workbench
    workbench.keeper.stop()
