"""The servers of a measurement: private, on this machine, the same for every contestant."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from tests.servers.rabbitmq import RabbitmqNode
from workers.database.embedded import open_embedded


@dataclass(frozen=True)
class Postgres:
    """An embedded server, with the settings that keywright itself gives it."""

    conninfo: str = field(repr=False)

    def create_database(self) -> str:
        """Make an empty database and return its URL, as psycopg and SQLAlchemy read it."""
        name = f"benchmark_{secrets.token_hex(4)}"
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        given = conninfo_to_dict(self.conninfo)
        where = urlencode({"host": given["host"], "port": given["port"]})
        return f"postgresql://{quote(str(given['user']))}@/{name}?{where}"


@dataclass(frozen=True)
class Servers:
    """A RabbitMQ node and a Postgres server."""

    rabbitmq: RabbitmqNode
    postgres: Postgres

    def create_broker_url(self) -> str:
        """Make an empty virtual host and return its URL."""
        return self.rabbitmq.url(self.rabbitmq.create_vhost())

    def create_database_url(self) -> str:
        """Make an empty database and return its URL."""
        return self.postgres.create_database()


@contextmanager
def run_postgres() -> Iterator[Postgres]:
    """Run a Postgres server until the block ends; its data goes with it."""
    with (
        tempfile.TemporaryDirectory(prefix="keywright-benchmark-") as folder,
        open_embedded(Path(folder) / "data") as server,
    ):
        yield Postgres(server.conninfo)


@contextmanager
def run_servers() -> Iterator[Servers]:
    """Run both servers until the block ends; their data goes with them."""
    with run_postgres() as postgres, RabbitmqNode() as rabbitmq:
        yield Servers(rabbitmq, postgres)
