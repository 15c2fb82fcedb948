"""One database and one authority for each file of tests; each test has its own organization."""

import pytest

from tests.integration.certificates.issuance.workshop import Workshop
from tests.integration.certificates.shared_database import (  # noqa: F401  # fixtures
    acme,
    connection,
    conninfo,
    pool,
    tools,
    workers,
)
from tests.integration.certificates.signing.desk import Desk
from tests.integration.certificates.signing.openssl_authority import OpensslAuthority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> OpensslAuthority:
    """A root and an issuing authority below it, made and used with openssl."""
    return OpensslAuthority.new(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def desk(acme: Workshop, authority: OpensslAuthority) -> Desk:  # noqa: F811  # the fixture
    """Somebody of that organization who has certificates signed by that authority."""
    return Desk(acme, authority)
