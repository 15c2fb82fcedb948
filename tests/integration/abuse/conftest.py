from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.abuse.tenants import Tenants
from tests.integration.certificates.issuance.workshop import certificate_tools
from tests.integration.certificates.keystore_jobs.office import office
from tests.integration.jobs.workbench import Workbench
from workers.composition import usual_handlers
from workers.database.pool import Connection, open_pool
from workers.settings import load_settings


@pytest.fixture
def tenants(connection: Connection, conninfo: str, tmp_path: Path) -> Iterator[Tenants]:
    """Two organizations on one database, and a worker with all its handlers."""
    settings = load_settings(
        {
            "KEYWRIGHT_SMTP_URL": "smtp://localhost",
            "KEYWRIGHT_ROOT_KEY": f"file:{tmp_path / 'root.key'}",
        }
    )
    with (
        open_pool(conninfo, size=4, name="ledger") as ledger,
        open_pool(conninfo, size=2, name="worker") as pool,
    ):
        tools = certificate_tools(ledger, tmp_path)
        workbench = Workbench(ledger, pool)
        acme, rival = (office(connection, tools, name) for name in ("Acme", "Rival"))
        yield Tenants(acme, rival, workbench, lambda: usual_handlers(settings, conninfo, ledger))
        workbench.keeper.stop()
