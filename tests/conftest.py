"""The servers that tests share; each starts when the first test asks for it."""

from collections.abc import Iterator

import psycopg
import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.smtp import SmtpSink
from workers.database.pool import Connection

pytest_plugins = ("tests.hanging",)

# Tests run three at a time, beside servers: how long an example takes says nothing about it.
settings.register_profile(
    "busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy machine")


@pytest.fixture(autouse=True)
def _brief_log() -> Iterator[None]:
    """Keep the log short: many things fail here, and all their local variables take a while."""
    before = structlog.get_config()
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The database server of this test run; nobody may break it."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_to_break() -> Iterator[PostgresServer]:
    """A database server for a test that kills it."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def conninfo(postgres: PostgresServer) -> Iterator[str]:
    """Where to find a fresh database that has the schema."""
    with postgres.database() as conninfo:
        yield conninfo


@pytest.fixture
def connection(conninfo: str) -> Iterator[Connection]:
    """An autocommit connection to a fresh database that has the schema."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def _shared_rabbitmq_node() -> Iterator[RabbitmqNode]:
    with RabbitmqNode() as node:
        yield node


@pytest.fixture
def rabbitmq_node(_shared_rabbitmq_node: RabbitmqNode) -> Iterator[RabbitmqNode]:
    """Lend the node of this test run; a test may break it, it is healed afterwards."""
    yield _shared_rabbitmq_node
    _shared_rabbitmq_node.heal()


@pytest.fixture
def broker_vhost(rabbitmq_node: RabbitmqNode) -> Iterator[str]:
    """Make a virtual host for this test alone."""
    vhost = rabbitmq_node.create_vhost()
    yield vhost
    rabbitmq_node.heal()
    rabbitmq_node.delete_vhost(vhost)


@pytest.fixture
def broker_url(rabbitmq_node: RabbitmqNode, broker_vhost: str) -> str:
    """Say where RabbitMQ is, with a virtual host for this test alone."""
    return rabbitmq_node.url(broker_vhost)


@pytest.fixture
def smtp_sink() -> Iterator[SmtpSink]:
    """Run a mail server that takes everything, until the test tells it otherwise."""
    with SmtpSink() as sink:
        yield sink
