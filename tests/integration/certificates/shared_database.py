"""One database for each file of tests; every test has organizations of its own in it."""

from collections.abc import Iterator
from itertools import count

import psycopg
import pytest

from tests.integration.announcements.catalogue import announced_as_the_catalogue_says
from tests.integration.certificates.issuance.workshop import Workshop, certificate_tools
from tests.integration.jobs.workbench import Workbench
from tests.servers.postgres import PostgresServer
from workers.certificates.tools import CertificateTools
from workers.database.pool import Connection, Pool, open_pool

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def conninfo(postgres: PostgresServer) -> Iterator[str]:
    """Where to find the database."""
    with postgres.database() as conninfo, announced_as_the_catalogue_says(conninfo):
        yield conninfo


@pytest.fixture(scope="module")
def connection(conninfo: str) -> Iterator[Connection]:
    """An autocommit connection to it."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def pool(conninfo: str) -> Iterator[Pool]:
    """The ledger's connections of a process."""
    with open_pool(conninfo, size=4, name="ledger") as pool:
        yield pool


@pytest.fixture(scope="module")
def tools(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> CertificateTools:
    """What the jobs on certificates work with."""
    return certificate_tools(pool, tmp_path_factory.mktemp("root-key"))


@pytest.fixture
def acme(connection: Connection, tools: CertificateTools) -> Workshop:
    """An organization without certificates and keys."""
    return Workshop.of(connection, tools, f"Acme {next(_NUMBERS)}")


@pytest.fixture
def globex(connection: Connection, tools: CertificateTools) -> Workshop:
    """Another organization."""
    return Workshop.of(connection, tools, f"Globex {next(_NUMBERS)}")


@pytest.fixture(scope="module")
def workers(conninfo: str) -> Iterator[Workbench]:
    """A worker with two connections for its handlers."""
    with (
        open_pool(conninfo, size=4, name="ledger", index_only=True) as ledger,
        open_pool(conninfo, size=2, name="worker") as pool,
    ):
        workbench = Workbench(ledger, pool)
        yield workbench
        workbench.keeper.stop()
