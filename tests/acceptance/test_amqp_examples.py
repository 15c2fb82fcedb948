"""The examples of docs/how-to/enqueue-over-amqp.md as they stand there, with the whole system."""

import json
import re
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.keywright_command import ROOT, Keywright, keywright_of_acme
from tests.servers.node import node_folder, run_node
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.waiting import until
from workers.jobs.broker_users import commands, requester_rights

PAGE = (ROOT / "docs" / "how-to" / "enqueue-over-amqp.md").read_text(encoding="utf-8")
PASSWORD = "of-the-crm"


@dataclass(frozen=True)
class System:
    """keywright at work, and the URL of the requester of the page."""

    keywright: Keywright
    url: str
    user: str


def block(language: str) -> str:
    """Return the one code block of the page in a language."""
    [text] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


@pytest.fixture
def system(
    postgres: PostgresServer,
    rabbitmq_node: RabbitmqNode,
    broker_vhost: str,
    broker_url: str,
    tmp_path: Path,
) -> Iterator[System]:
    """A scheduler and a worker; what the page has an operator do, has been done."""
    user = f"crm-{secrets.token_hex(4)}"
    for line in commands(requester_rights(user), broker_vhost):
        words = shlex.split(line)[1:]
        rabbitmq_node.ctl(*words, *([PASSWORD] if words[0] == "add_user" else []))
    with keywright_of_acme(postgres, tmp_path) as keywright:
        keywright.settings.update(
            KEYWRIGHT_BROKER_URL=broker_url, KEYWRIGHT_SMTP_URL="smtp://localhost?tls=none"
        )
        for line in block("sh").splitlines():
            words = shlex.split(line.replace("--broker-user crm", f"--broker-user {user}"))
            done = keywright.run(*words[1:])
            assert done.returncode == 0, done.stderr
        running = [
            keywright.start("-m", "workers.cli", *command)
            for command in (("scheduler",), ("worker", "--processes", "1"))
        ]
        try:
            until(lambda: _is_bound(rabbitmq_node, broker_vhost), "the intake", seconds=60)
            yield System(
                keywright, rabbitmq_node.url(broker_vhost, user=user, password=PASSWORD), user
            )
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.communicate(timeout=60)
            rabbitmq_node.ctl("delete_user", user)


def _is_bound(node: RabbitmqNode, vhost: str) -> bool:
    listed = node.ctl("list_bindings", "-p", vhost, "source_name", "destination_name")
    return "keywright.intake\tkeywright.intake" in str(listed)


def made_by_the_crm(system: System) -> list[tuple[str, str, str]]:
    """Return the certificates that the requester had made."""
    with psycopg.connect(system.keywright.settings["KEYWRIGHT_DATABASE_URL"]) as connection:
        return connection.execute(
            "SELECT unique_name, actor, door FROM keywright.certificate"
            " JOIN keywright.audit_entry ON object = 'certificate/' || certificate_id"
            " ORDER BY unique_name"
        ).fetchall()


def test_the_node_program_has_a_certificate_made(system: System, tmp_path: Path) -> None:
    program = node_folder(tmp_path / "node") / "ask.mjs"
    program.write_text(block("js"), encoding="utf-8")
    done = run_node(program, environment={"AMQP_URL": system.url})
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["state"], answer["result"]["unique_name"]) == ("succeeded", "Shop")
    assert made_by_the_crm(system) == [("Shop", "requester:crm", "amqp")]


def test_the_python_program_has_a_certificate_made(system: System, tmp_path: Path) -> None:
    program = tmp_path / "ask.py"
    program.write_text(block("python"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(program)],
        env={"AMQP_URL": system.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["state"], answer["result"]["unique_name"]) == ("succeeded", "Mail")
    assert made_by_the_crm(system) == [("Mail", "requester:crm", "amqp")]
