"""What the tests of API clients share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.certificates.issuance.workshop import certificate_tools
from tests.integration.certificates.keystore_jobs.office import Office, office
from workers.database.pool import Connection, open_pool


@pytest.fixture
def acme(connection: Connection, conninfo: str, tmp_path: Path) -> Iterator[Office]:
    """An organization with a master key."""
    with open_pool(conninfo, size=2, name="ledger") as pool:
        yield office(connection, certificate_tools(pool, tmp_path))
