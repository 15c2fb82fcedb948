"""Webhooks with the rights of a scheduler and of a worker, and no more; what is on record."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.integration.jobs.workbench import Workbench
from tests.integration.webhooks.telling import Telling
from tests.servers.postgres import PostgresServer
from tests.servers.receiver import Receiver
from workers.announcements.webhooks_due import webhook_step
from workers.audit.reading import list_entries
from workers.composition import usual_handlers
from workers.contract import PurgeWebhooks, RotateMasterKey
from workers.database.pool import Acting, Connection, Pool, act_as, open_pool
from workers.encryption.ciphertext import named_key
from workers.jobs.enqueue import enqueue
from workers.jobs.execution import Execution
from workers.settings import load_settings
from workers.webhooks.endpoints import add_endpoint, remove, rotate_secret, switch


@pytest.fixture
def scheduler(postgres: PostgresServer, conninfo: str) -> Iterator[Pool]:
    """The connections of a scheduler."""
    with (
        postgres.login(conninfo, "keywright_scheduler") as login,
        open_pool(login, size=1, name="scheduler", index_only=True) as pool,
    ):
        yield pool


@pytest.fixture
def worker(postgres: PostgresServer, conninfo: str, tmp_path: Path) -> Iterator[Execution]:
    """A worker with all its handlers."""
    settings = load_settings(
        {
            "KEYWRIGHT_SMTP_URL": "smtp://localhost",
            "KEYWRIGHT_ROOT_KEY": f"file:{tmp_path / 'root.key'}",
        }
    )
    with (
        postgres.login(conninfo, "keywright_worker") as login,
        open_pool(login, size=4, name="ledger") as ledger,
        open_pool(login, size=3, name="worker") as pool,
    ):
        workbench = Workbench(ledger, pool)
        yield workbench.execution(usual_handlers(settings, login, ledger))
        workbench.keeper.stop()


def work_off(connection: Connection, worker: Execution) -> None:
    """Do all jobs, and those that they ask for."""
    while waiting := connection.execute(
        "SELECT job_id FROM keywright.job WHERE state = 'scheduled' AND run_at <= now()"
    ).fetchall():
        for (job_id,) in waiting:
            worker.execute(job_id)
    failed = connection.execute(
        "SELECT kind, problem FROM keywright.job WHERE problem IS NOT NULL"
    ).fetchall()
    assert failed == []


def test_scheduler_and_worker_tell_with_their_own_rights(
    telling: Telling, billing: Receiver, scheduler: Pool, worker: Execution
) -> None:
    telling.add(billing.url)
    telling.tell(1)
    assert webhook_step(scheduler)() == 1
    work_off(telling.connection, worker)
    assert billing.numbers() == [1]
    enqueue(telling.connection, PurgeWebhooks())
    work_off(telling.connection, worker)


def test_secrets_are_reencrypted_with_everything_else(
    telling: Telling, billing: Receiver, scheduler: Pool, worker: Execution
) -> None:
    telling.add(billing.url)
    enqueue(
        telling.connection,
        RotateMasterKey(expected_number=1, reencrypt=True),
        organization_id=telling.acme,
    )
    work_off(telling.connection, worker)
    [(value,)] = telling.connection.execute("SELECT value FROM keywright.webhook_secret").fetchall()
    assert named_key(value) == 2
    telling.tell(1)
    assert webhook_step(scheduler)() == 1
    work_off(telling.connection, worker)
    assert [each.event["data"].get("number") for each in billing.received][-1] == 1


@pytest.mark.parametrize(
    ("group", "statement"),
    [
        ("keywright_worker", "UPDATE keywright.webhook_endpoint SET url = 'https://evil.example/'"),
        ("keywright_worker", "UPDATE keywright.webhook_endpoint SET allow_private = true"),
        ("keywright_worker", "DELETE FROM keywright.webhook_endpoint"),
        ("keywright_worker", "INSERT INTO keywright.webhook_endpoint (name) VALUES ('x')"),
        ("keywright_worker", "UPDATE keywright.webhook_secret SET expires_at = NULL"),
        ("keywright_scheduler", "SELECT url FROM keywright.webhook_endpoint"),
        ("keywright_scheduler", "SELECT value FROM keywright.webhook_secret"),
        ("keywright_scheduler", "UPDATE keywright.webhook_delivery SET state = 'delivered'"),
        ("keywright_reader", "SELECT url FROM keywright.webhook_endpoint"),
        ("keywright_reader", "SELECT value FROM keywright.webhook_secret"),
        ("keywright_requester", "SELECT name FROM keywright.webhook_endpoint"),
        ("keywright_requester", "SELECT * FROM keywright.webhook_due"),
    ],
)
def test_nobody_redirects_webhooks_or_sees_where_they_go_without_need(
    postgres: PostgresServer, conninfo: str, group: str, statement: str
) -> None:
    with (
        postgres.login(conninfo, group) as login,
        psycopg.connect(login, autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


def test_what_an_operator_does_to_a_webhook_is_recorded_without_url_or_secret(
    telling: Telling,
) -> None:
    connection, cipher = telling.connection, telling.tools.cipher
    act_as(connection, Acting("operator:ada", "cli"), for_session=True)
    _, secret = add_endpoint(
        connection,
        cipher,
        organization_id=telling.acme,
        name="billing",
        url="https://example.org/token-of-the-receiver",
    )
    rotate_secret(
        connection, cipher, organization_id=telling.acme, name="billing", overlap_hours=24
    )
    switch(connection, organization_id=telling.acme, name="billing", enabled=False)
    remove(connection, organization_id=telling.acme, name="billing")
    found = [each for each in list_entries(connection) if each.action.startswith("webhook_")]
    verbs = [each.action.rpartition(".")[2] for each in found]
    assert len(found) == 8
    assert (verbs.count("create"), verbs.count("delete")) == (3, 3)
    assert {each.actor for each in found} == {"operator:ada"}
    assert "token-of-the-receiver" not in str(found)
    assert secret not in str(found)
