"""Users of RabbitMQ as a deployment has them, and what one of them can do or is refused."""

import json
import secrets
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel

from tests.servers.rabbitmq import RabbitmqNode
from workers.jobs.broker_users import Rights, commands
from workers.jobs.queues import declare_queues

ROOT = Path(__file__).parents[3]
PASSWORD = "of-a-requester"
REFUSED = 403
NOT_ONES_OWN = 406

Act = Callable[[BlockingChannel], Any]


class Users:
    """The users of compose.yaml on a node, in a virtual host of their own."""

    def __init__(self, node: RabbitmqNode, folder: Path) -> None:
        self.node = node
        self.vhost = f"keywright-{secrets.token_hex(4)}"
        made = self.folder = folder / "secrets"
        subprocess.run(
            [sys.executable, ROOT / "deploy" / "make_secrets.py", made],
            check=True,
            capture_output=True,
        )
        definitions = (made / "rabbitmq_definitions.json").read_text()
        definitions = definitions.replace('"vhost": "keywright"', f'"vhost": "{self.vhost}"')
        said = json.loads(definitions) | {"vhosts": [{"name": self.vhost}]}
        path = folder / "definitions.json"
        path.write_text(json.dumps(said))
        node.ctl("import_definitions", str(path))
        self._names = [user["name"] for user in said["users"]]
        self._passwords = {
            url.split("//")[1].split(":")[0]: url.split("@")[0].rpartition(":")[2]
            for url in ((made / f"broker_{each}_url").read_text() for each in _PROCESSES)
        }
        self._passwords["operator"] = (made / "rabbitmq_operator_password").read_text()

    def add(self, rights: Rights) -> None:
        """Make a user as an operator does: with the lines that `keywright broker` prints."""
        for line in commands(rights, self.vhost):
            words = shlex.split(line)[1:]
            self.node.ctl(*words, *([PASSWORD] if words[0] == "add_user" else []))
        self._names.append(rights.user)
        self._passwords[rights.user] = PASSWORD

    def url(self, user: str) -> str:
        """Return where a user finds the node."""
        return self.node.url(self.vhost, user=user, password=self._passwords[user])

    @contextmanager
    def channel(self, user: str) -> Iterator[BlockingChannel]:
        """Yield a channel, with confirms, of a connection of this user."""
        connection = pika.BlockingConnection(pika.URLParameters(self.url(user)))
        try:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel
        finally:
            with suppress(pika.exceptions.AMQPError):
                connection.close()

    def refusal(self, user: str, act: Act) -> int | None:
        """Return the code with which an act is refused, or None where it is not."""
        with self.channel(user) as channel:
            try:
                act(channel)
                channel.connection.process_data_events()
            except pika.exceptions.ChannelClosedByBroker as error:
                return error.reply_code
        return None

    def remove(self) -> None:
        """Take everything away again."""
        self.node.delete_vhost(self.vhost)
        for name in self._names:
            self.node.ctl("delete_user", name)


_PROCESSES = ("scheduler", "worker")


def declare_all(channel: BlockingChannel) -> None:
    """Declare what keywright has on a broker, as the scheduler does."""
    declare_queues(channel)
    quorum = {"x-queue-type": "quorum"}
    channel.exchange_declare("keywright.intake", "fanout", durable=True)
    channel.queue_declare("keywright.intake.XQ", durable=True, arguments=quorum)
    channel.queue_declare(
        "keywright.intake",
        durable=True,
        arguments=quorum
        | {
            "x-single-active-consumer": True,
            "x-delivery-limit": 20,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": "keywright.intake.XQ",
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )
    channel.queue_bind("keywright.intake", "keywright.intake")
    channel.exchange_declare("keywright.refused", "fanout", durable=True)
    channel.queue_declare("keywright.refused", durable=True, arguments=quorum)
    channel.queue_bind("keywright.refused", "keywright.refused")
    channel.exchange_declare("keywright.events", "topic", durable=True)
