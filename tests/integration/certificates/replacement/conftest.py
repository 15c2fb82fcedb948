from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.certificates.issuance.workshop import Workshop, certificate_tools
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
def workshop(connection: Connection, tools: CertificateTools) -> Workshop:
    """An organization without certificates and keys."""
    return Workshop.of(connection, tools, "Acme")
