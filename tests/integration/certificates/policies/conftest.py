import pytest

from tests.integration.certificates.policies.shelf import Shelf, shelf
from workers.database.pool import Connection


@pytest.fixture
def acme(connection: Connection) -> Shelf:
    """An organization without certificates."""
    return shelf(connection)
