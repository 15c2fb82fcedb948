from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.certificates.issuance.workshop import certificate_tools
from tests.integration.certificates.saml.service_provider import ServiceProvider
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
    return certificate_tools(pool, tmp_path)


@pytest.fixture
def acme(connection: Connection, tools: CertificateTools, tmp_path: Path) -> ServiceProvider:
    """An organization without certificates and configurations."""
    return ServiceProvider.at(connection, tools, "Acme", tmp_path)


@pytest.fixture
def globex(connection: Connection, tools: CertificateTools, tmp_path: Path) -> ServiceProvider:
    """Another organization."""
    return ServiceProvider.at(connection, tools, "Globex", tmp_path)
