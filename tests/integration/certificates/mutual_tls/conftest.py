"""What the tests of mutual TLS share."""

import pytest

from tests.integration.certificates.mutual_tls.partners import Partners
from workers.database.pool import Connection


@pytest.fixture
def partners(connection: Connection) -> Partners:
    """An organization that accepts its partners' certificates."""
    return Partners.of(connection)
