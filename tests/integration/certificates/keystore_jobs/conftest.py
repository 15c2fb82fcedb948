from collections.abc import Iterator

import pytest

from tests.integration.certificates.keystore_jobs.office import Office, office
from tests.integration.jobs.workbench import Workbench
from workers.certificates.tools import CertificateTools
from workers.database.pool import Connection, Pool, open_pool


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
