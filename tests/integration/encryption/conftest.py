from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from tests.integration.encryption.shop import Shop
from tests.servers.postgres import PostgresServer
from workers.database.pool import Connection, Pool, open_pool
from workers.encryption import FieldCipher
from workers.encryption.connections import Connections
from workers.keys.keyring import KeyRing
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.file import FileRootKey
from workers.organizations.store import add_organization


def organization(connection: Connection, name: str) -> int:
    return add_organization(
        connection, name=name, time_zone="UTC", sending_hour=8, is_sandbox=False
    )


@pytest.fixture
def pool(conninfo: str) -> Iterator[Pool]:
    """The connections of a process that encrypts."""
    with open_pool(conninfo, size=4, name="encryption") as pool:
        yield pool


@pytest.fixture
def other_database(postgres: PostgresServer) -> Iterator[str]:
    """Another PostgreSQL database, without our schema."""
    with postgres.database(schema=False) as conninfo:
        yield conninfo


@pytest.fixture
def shop(conninfo: str, connection: Connection, pool: Pool, tmp_path: Path) -> Shop:
    """An application in keywright's own database."""
    root_keys = RootKeys(FileRootKey(tmp_path / "root.key", create_if_missing=True))
    keyring = KeyRing(pool, root_keys)
    return Shop(
        conninfo=conninfo,
        connection=connection,
        pool=pool,
        root_keys=root_keys,
        keyring=keyring,
        cipher=FieldCipher(keyring, pool),
        connections=Connections(conninfo),
        acme=organization(connection, "Acme"),
        globex=organization(connection, "Globex"),
    )


@pytest.fixture
def billing(shop: Shop, other_database: str) -> Iterator[Connection]:
    """A connection to another database, which the application knows as ``billing``."""
    shop.connections = Connections(shop.conninfo, {"billing": SecretStr(other_database)})
    with psycopg.connect(other_database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def fields(shop: Shop) -> Shop:
    """Two encrypted bytea columns and two of text, in one table."""
    shop.make_table(column="card bytea, iban bytea, name text, street text")
    shop.register()
    for column in ("iban", "name", "street"):
        shop.register(field_name=f"customer.{column}", column_name=column)
    return shop
