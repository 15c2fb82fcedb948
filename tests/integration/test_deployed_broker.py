"""RabbitMQ with the configuration and definitions of the deployment files."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pika
import pika.exceptions
import pytest

from tests.servers.rabbitmq import RabbitmqNode
from workers.jobs.publisher import Publisher

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024


@dataclass(frozen=True)
class Deployed:
    """A node, and the folder of secrets."""

    node: RabbitmqNode
    secrets: Path

    def url(self, process: str) -> str:
        """Return the scheduler's or worker's own URL, with the place of this node."""
        url = urlsplit((self.secrets / f"broker_{process}_url").read_text())
        return self.node.url(url.path.removeprefix("/"), user=url.username, password=url.password)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A node as Compose starts it."""
    secrets = tmp_path_factory.mktemp("deployed") / "secrets"
    script = ROOT / "deploy" / "make_secrets.py"
    subprocess.run([sys.executable, script, secrets], check=True, capture_output=True)
    configuration = (ROOT / "deploy" / "rabbitmq.conf").read_text(encoding="utf-8")
    definitions = "/run/secrets/rabbitmq_definitions"
    assert definitions in configuration
    node = RabbitmqNode()
    with (node.home.directory / "rabbitmq.conf").open("a", encoding="utf-8") as file:
        file.write(
            configuration.replace(definitions, str(secrets / "rabbitmq_definitions.json")).replace(
                # Said before; one setting may not stand twice.
                "disk_free_limit.absolute = 1GB",
                "",
            )
        )
    with node:
        yield Deployed(node, secrets)


def test_its_users_are_those_of_the_definitions_and_no_other(deployed: Deployed) -> None:
    users = {line.split()[0] for line in deployed.node.ctl("list_users").splitlines()[1:]}
    assert users == {"keywright_scheduler", "keywright_worker", "operator"}
    assert deployed.node.ctl("list_vhosts").split()[1:] == ["keywright"]


@pytest.mark.parametrize("process", ["scheduler", "worker"])
def test_the_passwords_fit(deployed: Deployed, process: str) -> None:
    pika.BlockingConnection(pika.URLParameters(deployed.url(process))).close()


def test_hints_can_be_published(deployed: Deployed) -> None:
    publisher = Publisher(deployed.url("scheduler"))
    assert publisher.publish([]) == set()
    publisher.close()


def test_a_message_of_more_than_two_mebibytes_is_refused(deployed: Deployed) -> None:
    publisher = Publisher(deployed.url("scheduler"))
    publisher.publish([])  # declares the queues
    publisher.close()
    with pika.BlockingConnection(pika.URLParameters(deployed.url("scheduler"))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("", "maintenance", bytes(2 * MIB))
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="larger than"):
            channel.basic_publish("", "maintenance", bytes(2 * MIB + 1))
