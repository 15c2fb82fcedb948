from pathlib import Path

import pytest

from tests.integration.certificates.saml.service_provider import ServiceProvider
from workers.certificates.tools import CertificateTools
from workers.database.pool import Connection


@pytest.fixture
def acme(connection: Connection, tools: CertificateTools, tmp_path: Path) -> ServiceProvider:
    """An organization without certificates and configurations."""
    return ServiceProvider.at(connection, tools, "Acme", tmp_path)


@pytest.fixture
def globex(connection: Connection, tools: CertificateTools, tmp_path: Path) -> ServiceProvider:
    """Another organization."""
    return ServiceProvider.at(connection, tools, "Globex", tmp_path)
