"""The system with the roles and users of its deployment files, and no others."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dramatiq
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr
from structlog.testing import capture_logs

from scheduler.service import SchedulerService
from tests.acceptance.keywright_command import url_of
from tests.integration.database.plain_postgres import PlainPostgres, oldest_programs
from tests.integration.jobs.broker_users import Users
from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.waiting import until
from workers.cli.status import look
from workers.composition import compose_worker
from workers.contract import Ping, Queue
from workers.database.pool import connect
from workers.database.roles import set_up_roles
from workers.database.schema import create_schema
from workers.jobs.broker_users import SCHEDULER, WORKER
from workers.jobs.enqueue import enqueue
from workers.settings import Settings

ROOT = Path(__file__).parents[2]
OWNER = "keywright_owner"
LOGINS = ("keywright_scheduler_login", "keywright_worker_login")


@pytest.fixture(scope="module")
def users(
    _shared_rabbitmq_node: RabbitmqNode, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Users]:
    """The users of RabbitMQ, and the folder of all secrets."""
    users = Users(_shared_rabbitmq_node, tmp_path_factory.mktemp("deployment"))
    yield users
    users.remove()


@pytest.fixture(scope="module")
def database(users: Users) -> Iterator[str]:
    """A database as the postgres image makes it from our file, with the schema."""
    script = (ROOT / "deploy" / "create-database.sql").read_text(encoding="utf-8")
    script = script.replace("/run/secrets", str(users.folder))
    with PlainPostgres() as server, server.database() as administrators:
        subprocess.run(
            [oldest_programs() / "psql", "-v", "ON_ERROR_STOP=1", "-d", administrators],
            input=script,
            text=True,
            check=True,
            capture_output=True,
        )
        conninfo = make_conninfo(administrators, dbname="keywright")
        with connect(make_conninfo(conninfo, user=OWNER), name="test") as connection:
            assert create_schema(connection)
            set_up_roles(connection)
        yield conninfo


@contextmanager
def running(database: str, users: Users) -> Iterator[None]:
    """Run a scheduler and a worker, each as itself; nothing in them may go wrong."""
    scheduler, workers = (make_conninfo(database, user=login) for login in LOGINS)
    settings = Settings(
        broker_url=SecretStr(users.url(WORKER)),
        smtp_url=SecretStr("smtp://localhost:9"),
        worker_threads=2,
    )
    with capture_logs() as log, SchedulerService(scheduler, users.url(SCHEDULER), fire_now=True):
        broker = compose_worker(settings, workers)
        worker = dramatiq.Worker(broker, worker_threads=2, worker_timeout=100)
        worker.start()
        try:
            yield
        finally:
            worker.stop(timeout=20_000)
            broker.close()
    assert [entry for entry in log if entry["log_level"] == "error"] == []


def test_a_job_goes_through(database: str, users: Users) -> None:
    with (
        running(database, users),
        psycopg.connect(make_conninfo(database, user=OWNER), autocommit=True) as connection,
    ):
        job = enqueue(connection, Ping())
        until(
            lambda: (
                connection.execute(
                    "SELECT state::text FROM keywright.job WHERE job_id = %s", [job.job_id]
                ).fetchone()
                == ("succeeded",)
            ),
            "the job to be done",
        )


def test_no_job_of_the_timetable_fails_for_want_of_a_right(database: str, users: Users) -> None:
    with (
        running(database, users),
        psycopg.connect(make_conninfo(database, user=OWNER), autocommit=True) as connection,
    ):
        until(
            lambda: (
                connection.execute(
                    "SELECT count(*) FILTER (WHERE finished_at IS NULL) = 0 AND count(*) > 1"
                    "  FROM keywright.job"
                ).fetchone()
                == (True,)
            ),
            "all that is owed to be done",
        )
        failed = connection.execute(
            "SELECT kind, problem ->> 'detail' FROM keywright.job WHERE state = 'failed'"
        ).fetchall()
    assert failed == []


@pytest.mark.parametrize("login", LOGINS)
@pytest.mark.parametrize(
    "statement",
    [
        "DROP SCHEMA keywright CASCADE",
        "DROP TABLE keywright.job",
        "ALTER TABLE keywright.audit_entry DISABLE TRIGGER ALL",
        "CREATE TABLE keywright.mine ()",
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
        "DELETE FROM keywright.audit_entry",
        "TRUNCATE keywright.job",
    ],
)
def test_neither_login_can_change_what_the_system_is(
    database: str, login: str, statement: str
) -> None:
    with (
        psycopg.connect(make_conninfo(database, user=login), autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


@pytest.mark.parametrize("login", [OWNER, *LOGINS])
def test_no_login_is_more_than_it_needs_to_be(database: str, login: str) -> None:
    with psycopg.connect(database, autocommit=True) as administrator:
        row = administrator.execute(
            "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
            "  FROM pg_roles WHERE rolname = %s",
            [login],
        ).fetchone()
    assert row == (False,)


def test_a_stranger_cannot_even_connect(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as administrator:
        administrator.execute("CREATE ROLE stranger LOGIN")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(make_conninfo(database, user="stranger"))


@pytest.mark.parametrize(("login", "user"), [*zip(LOGINS, (SCHEDULER, WORKER), strict=True)])
def test_each_can_ask_how_everything_is(database: str, users: Users, login: str, user: str) -> None:
    settings = Settings(
        database_url=SecretStr(url_of(make_conninfo(database, user=login))),
        broker_url=SecretStr(users.url(user)),
    )
    found = look(settings)
    assert (found.database, found.broker) == ("reachable", "reachable")
    assert len(found.queues) == len(Queue)
    if login == "keywright_worker_login":
        assert found.notes == []
