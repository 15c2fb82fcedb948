"""What the tests on certificates share: a worker's tools, on the database of a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.certificates.issuance.workshop import certificate_tools
from tests.integration.jobs.workbench import Workbench
from workers.certificates.tools import CertificateTools
from workers.database.pool import Pool, open_pool


@pytest.fixture
def pool(conninfo: str) -> Iterator[Pool]:
    """The ledger's connections of a process."""
    with open_pool(conninfo, size=4, name="ledger") as pool:
        yield pool


@pytest.fixture
def tools(pool: Pool, tmp_path: Path) -> CertificateTools:
    """What the jobs on certificates work with."""
    return certificate_tools(pool, tmp_path)


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
