from collections.abc import Iterator

import psycopg
import pytest

from tests.integration.requesters.crm import Crm
from tests.servers.postgres import PostgresServer
from workers.database.pool import Connection
from workers.organizations.store import add_organization
from workers.requesters.store import GRANTABLE, add_requester, grant


@pytest.fixture
def crm(postgres: PostgresServer, conninfo: str, connection: Connection) -> Iterator[Crm]:
    """A system that may ask for everything in Acme, and for nothing in Rival."""
    acme, _ = (
        add_organization(connection, name=name, time_zone="UTC", sending_hour=8, is_sandbox=False)
        for name in ("Acme", "Rival")
    )
    with postgres.login(conninfo, "keywright_requester") as login:
        role = str(psycopg.conninfo.conninfo_to_dict(login)["user"])
        add_requester(connection, name="crm", broker_user=None, database_role=role)
        grant(connection, name="crm", organization_id=acme, kinds=GRANTABLE)
        with psycopg.connect(login, autocommit=True) as own:
            yield Crm(own, connection, login, role)
