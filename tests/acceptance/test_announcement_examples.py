"""The consumers in docs/how-to/react-to-announcements.md work as they stand there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pika
import pika.exceptions
import pytest

from tests.integration.announcements.town_crier import drained, organization, settle, tell
from tests.integration.jobs.broker_users import Users
from tests.servers.ending import ended
from tests.servers.node import node_folder
from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.waiting import until
from workers.announcements.messages import EXCHANGE, message
from workers.announcements.reading import installation_id, latest
from workers.announcements.relay import AnnouncementRelay
from workers.database.pool import Connection
from workers.jobs.broker_users import SCHEDULER, requester_rights
from workers.jobs.confirming import ConfirmingPublisher

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "react-to-announcements.md"
QUEUE = "keywright.events.billing"


def example(language: str) -> str:
    """Return the program in one of the languages that the page has."""
    [program] = re.findall(
        rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    return str(program)


@pytest.fixture
def acme(connection: Connection) -> int:
    """An organization."""
    return organization(connection, "Acme")


@pytest.fixture
def users(rabbitmq_node: RabbitmqNode, tmp_path: Path, acme: int) -> Iterator[Users]:
    """The users of a deployment, and one who may hear of the organization."""
    users = Users(rabbitmq_node, tmp_path)
    users.add(requester_rights("billing", organizations=[acme]))
    yield users
    users.remove()


@pytest.fixture
def relay(conninfo: str, users: Users) -> Iterator[AnnouncementRelay]:
    """A relay with the rights of a scheduler, which has declared the exchange."""
    relay = AnnouncementRelay(conninfo, users.url(SCHEDULER))
    with users.channel(SCHEDULER) as channel:
        channel.exchange_declare(EXCHANGE, "topic", durable=True)
    yield relay
    relay.close()


@contextmanager
def consumer(language: str, folder: Path, users: Users, acme: int) -> Iterator[Path]:
    """Run an example as the page has it; yield where what it prints goes."""
    if language == "python":
        command = [sys.executable, str(folder / "consumer.py")]
    else:
        node_folder(folder)
        command = [str(Path(sys.executable).parent / "node"), str(folder / "consumer.mjs")]
    Path(command[1]).write_text(example(language), encoding="utf-8")
    said = folder / "said.txt"
    with said.open("a", encoding="utf-8") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "BROKER_URL": users.url("billing"),
                "ORGANIZATION": str(acme),
            },
            stdout=output,
            stderr=output,
        )
    with ended(process):
        until(lambda: QUEUE in users.node.queue_depths(users.vhost), f"the queue: {said}")
        yield said


def lines(said: Path) -> list[str]:
    """Return what was printed."""
    return said.read_text(encoding="utf-8").splitlines()


def bound(users: Users) -> bool:
    """Return whether the consumer's queue hears anything."""
    return "keywright.events" in users.node.ctl("list_bindings", "-p", users.vhost, "source_name")


@pytest.mark.parametrize("language", ["python", "js"])
def test_an_example_handles_each_announcement_once_and_in_order(
    relay: AnnouncementRelay,
    connection: Connection,
    users: Users,
    tmp_path: Path,
    language: str,
) -> None:
    [(acme,)] = connection.execute("SELECT organization_id FROM keywright.organization").fetchall()
    globex = organization(connection, "Globex")
    with consumer(language, tmp_path, users, acme) as said:
        until(lambda: bound(users), "the queue to be bound")
        for number in range(1, 11):
            tell(connection, acme, "master-key/1/1", number)
            tell(connection, globex, "master-key/2/1", number)
        until(lambda: drained(relay.step, connection), "all to be relayed")
        repeat_all(connection, users)
        tell(connection, acme, "master-key/1/2", 11)
        until(lambda: drained(relay.step, connection), "all to be relayed")
        until(lambda: len(lines(said)) >= 11, "the example to have printed all")
    about = [f"master-key/1/{1 if number < 11 else 2}" for number in range(1, 12)]
    assert [line.replace(" ", "") for line in lines(said)] == [
        f'keywright.master_key.created.v1{subject}{{"number":{number}}}'
        for number, subject in enumerate(about, start=1)
    ]


def repeat_all(connection: Connection, users: Users) -> None:
    """Send every announcement once more, as a relay does that died before it noted them."""
    settle(connection)
    source = installation_id(connection)
    publisher = ConfirmingPublisher(users.url(SCHEDULER), lambda _: None)
    told = latest(connection, limit=100)
    assert publisher.publish([message(each, source) for each in told]) == set()
    publisher.close()


def test_an_example_that_comes_back_goes_on_where_it_was(
    relay: AnnouncementRelay, connection: Connection, users: Users, acme: int, tmp_path: Path
) -> None:
    with consumer("python", tmp_path, users, acme) as said:
        until(lambda: bound(users), "the queue to be bound")
        tell(connection, acme, "master-key/1/1", 1)
        until(lambda: drained(relay.step, connection), "all to be relayed")
        until(lambda: len(lines(said)) == 1, "the first to be handled")
        until(lambda: users.node.queue_depths(users.vhost)[QUEUE] == 0, "it to be acknowledged")
    for number in (2, 3):
        tell(connection, acme, "master-key/1/1", number)
    until(lambda: drained(relay.step, connection), "all to be relayed")
    repeat_all(connection, users)
    with consumer("python", tmp_path, users, acme) as said:
        until(lambda: len(lines(said)) >= 3, "the rest to be handled")
        until(lambda: users.node.queue_depths(users.vhost)[QUEUE] == 0, "all to be taken")
    assert [line.rpartition(" ")[2] for line in lines(said)] == ["1}", "2}", "3}"]


@pytest.mark.usefixtures("relay")
@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("{acme}.#", True),
        ("{acme}.certificate.*", True),
        ("{acme}7.#", False),
        ("#", False),
        ("*.certificate.issued", False),
        ("system.job.failed", False),
    ],
    ids=["all of one", "some of one", "of another", "all", "some of all", "of none"],
)
def test_a_user_binds_to_its_own_organizations_only(
    users: Users, acme: int, key: str, *, allowed: bool
) -> None:
    with pika.BlockingConnection(pika.URLParameters(users.url("billing"))) as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        if allowed:
            channel.queue_bind(QUEUE, EXCHANGE, key.format(acme=acme))
        else:
            with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
                channel.queue_bind(QUEUE, EXCHANGE, key.format(acme=acme))
            assert refused.value.reply_code == 403
