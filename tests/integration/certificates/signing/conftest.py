"""One database and one authority for each file of tests; each test has its own organization."""

from collections.abc import Iterator
from itertools import count

import psycopg
import pytest

from tests.integration.certificates.issuance.workshop import Workshop, certificate_tools
from tests.integration.certificates.signing.desk import Desk
from tests.integration.certificates.signing.openssl_authority import OpensslAuthority
from tests.integration.jobs.workbench import Workbench
from tests.servers.postgres import PostgresServer
from workers.certificates.tools import CertificateTools
from workers.database.pool import Connection, open_pool

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def conninfo(postgres: PostgresServer) -> Iterator[str]:
    """Where to find the database."""
    with postgres.database() as conninfo:
        yield conninfo


@pytest.fixture(scope="module")
def connection(conninfo: str) -> Iterator[Connection]:
    """An autocommit connection to it."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def tools(conninfo: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CertificateTools]:
    """What the jobs on certificates work with."""
    with open_pool(conninfo, size=4, name="ledger") as pool:
        yield certificate_tools(pool, tmp_path_factory.mktemp("root-key"))


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


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> OpensslAuthority:
    """A root and an issuing authority below it, made and used with openssl."""
    return OpensslAuthority.new(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def acme(connection: Connection, tools: CertificateTools) -> Workshop:
    """An organization without certificates and keys."""
    return Workshop.of(connection, tools, f"Acme {next(_NUMBERS)}")


@pytest.fixture
def desk(acme: Workshop, authority: OpensslAuthority) -> Desk:
    """Somebody of that organization who has certificates signed by that authority."""
    return Desk(acme, authority)
