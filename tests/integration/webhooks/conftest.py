from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.integration.certificates.issuance.workshop import certificate_tools
from tests.integration.jobs.workbench import Workbench
from tests.integration.webhooks.telling import Telling
from tests.servers.receiver import Receiver, receiver
from workers.database.pool import open_pool


@pytest.fixture
def billing() -> Iterator[Receiver]:
    """A receiver on this machine, without TLS."""
    with receiver() as billing:
        yield billing


@pytest.fixture
def telling(conninfo: str, tmp_path: Path) -> Iterator[Telling]:
    """An organization, a worker's tools, and what the scheduler does for webhooks."""
    with (
        psycopg.connect(conninfo, autocommit=True) as connection,
        open_pool(conninfo, size=4, name="ledger") as ledger,
        open_pool(conninfo, size=2, name="worker") as pool,
    ):
        workbench = Workbench(ledger, pool)
        yield Telling.of(connection, certificate_tools(ledger, tmp_path), workbench)
        workbench.keeper.stop()
