from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.certificates.keystore_jobs.office import Office, office, tools_for
from tests.integration.jobs.workbench import Workbench
from workers.certificates.tools import CertificateTools
from workers.database.pool import Connection, Pool, open_pool


@pytest.fixture
def pool(conninfo: str) -> Iterator[Pool]:
    """The ledger's connections of a process."""
    with open_pool(conninfo, size=4, name="ledger") as pool:
        yield pool


@pytest.fixture
def tools(pool: Pool, tmp_path: Path) -> CertificateTools:
    """What the jobs on certificates work with."""
    return tools_for(pool, tmp_path)


@pytest.fixture
def acme(connection: Connection, tools: CertificateTools) -> Office:
    """An organization without certificates."""
    return office(connection, tools)


@pytest.fixture
def other(connection: Connection, tools: CertificateTools) -> Office:
    """Another organization on the same database."""
    return office(connection, tools, "Other")


@pytest.fixture
def workbench(pool: Pool, conninfo: str) -> Iterator[Workbench]:
    """A worker's tools, with one connection for its handlers."""
    with open_pool(conninfo, size=1, name="worker") as handlers:
        workbench = Workbench(pool, handlers)
        yield workbench
        workbench.keeper.stop()
