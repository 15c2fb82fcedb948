"""One database for each file of tests; every test has organizations of its own in it."""

from tests.integration.certificates.shared_database import (  # noqa: F401  # fixtures
    acme,
    connection,
    conninfo,
    globex,
    pool,
    tools,
    workers,
)
