import pytest

from tests.integration.certificates.issuance.workshop import Workshop
from workers.certificates.tools import CertificateTools
from workers.database.pool import Connection


@pytest.fixture
def workshop(connection: Connection, tools: CertificateTools) -> Workshop:
    """An organization without certificates and keys."""
    return Workshop.of(connection, tools, "Acme")
