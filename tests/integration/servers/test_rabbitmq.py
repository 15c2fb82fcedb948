"""The private RabbitMQ node: that it is private, and that it breaks as told."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import (
    AMQPError,
    ConnectionBlockedTimeout,
    ConnectionClosedByBroker,
    ProbableAuthenticationError,
)

from tests.servers.ending import ended
from tests.servers.ports import LOOPBACK, listening_sockets
from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.waiting import until

_QUORUM = {"x-queue-type": "quorum"}
_PATIENCE_SECONDS = 30


@contextmanager
def _channel(url: str) -> Iterator[BlockingChannel]:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel
    finally:
        with suppress(AMQPError):  # the node may be gone
            connection.close()


def test_nothing_of_it_listens_off_loopback(rabbitmq_node: RabbitmqNode) -> None:
    node, epmd = rabbitmq_node._process.pid, rabbitmq_node._epmd.pid
    sockets = listening_sockets(node) | listening_sockets(epmd)
    assert (LOOPBACK, rabbitmq_node.port) in sockets
    assert {address for address, _ in sockets} <= {LOOPBACK, "::1"}


def test_its_files_are_for_the_owner_only(rabbitmq_node: RabbitmqNode) -> None:
    assert rabbitmq_node.home.directory.stat().st_mode & 0o777 == 0o700
    cookie = rabbitmq_node.home.directory / ".erlang.cookie"
    assert cookie.stat().st_mode & 0o777 == 0o600


def test_the_default_user_is_not_there(rabbitmq_node: RabbitmqNode) -> None:
    with (
        pytest.raises(ProbableAuthenticationError),
        _channel(rabbitmq_node.url(user="guest", password="guest")),
    ):
        pass


def test_a_virtual_host_is_made_and_removed(rabbitmq_node: RabbitmqNode) -> None:
    vhost = rabbitmq_node.create_vhost()
    with _channel(rabbitmq_node.url(vhost)) as channel:
        channel.queue_declare("q")
        assert rabbitmq_node.queue_depths(vhost) == {"q": 0}
        rabbitmq_node.delete_vhost(vhost)
    assert vhost not in rabbitmq_node.ctl("list_vhosts").split()
    rabbitmq_node.delete_vhost(vhost)


@pytest.mark.parametrize("arguments", [{}, _QUORUM])
def test_depths_count_messages_that_a_consumer_holds(
    rabbitmq_node: RabbitmqNode, broker_vhost: str, arguments: dict[str, str]
) -> None:
    with _channel(rabbitmq_node.url(broker_vhost)) as channel:
        channel.queue_declare("q", durable=True, arguments=arguments)
        for _ in range(3):
            channel.basic_publish("", "q", b"")
        channel.basic_get("q")
        assert rabbitmq_node.queue_depths(broker_vhost) == {"q": 3}
        channel.basic_get("q", auto_ack=True)
        until(lambda: rabbitmq_node.queue_depths(broker_vhost) == {"q": 2}, "the acknowledgement")


def test_what_was_confirmed_is_there_after_a_kill(
    rabbitmq_node: RabbitmqNode, broker_vhost: str
) -> None:
    port = rabbitmq_node.port
    with _channel(rabbitmq_node.url(broker_vhost)) as channel:
        channel.queue_declare("q", durable=True, arguments=_QUORUM)
        channel.basic_publish("", "q", b"", pika.BasicProperties(delivery_mode=2))
        rabbitmq_node.kill()
        assert not rabbitmq_node.running
        with pytest.raises(AMQPError):
            channel.basic_get("q")
    rabbitmq_node.start()
    assert rabbitmq_node.port == port
    assert rabbitmq_node.queue_depths(broker_vhost) == {"q": 1}


def test_a_full_memory_holds_publishers_until_it_is_over(
    rabbitmq_node: RabbitmqNode, broker_vhost: str
) -> None:
    url = rabbitmq_node.url(broker_vhost)
    with _channel(url + "?blocked_connection_timeout=0.2") as channel:
        channel.queue_declare("q")
        rabbitmq_node.set_memory_alarm(on=True)
        channel.basic_publish("", "q", b"")  # the one that makes the node notice the publisher
        with pytest.raises(ConnectionBlockedTimeout):
            channel.basic_publish("", "q", b"")
    rabbitmq_node.set_memory_alarm(on=False)
    with _channel(url) as channel:
        channel.basic_publish("", "q", b"")
    assert rabbitmq_node.queue_depths(broker_vhost)["q"] >= 2


def test_connections_are_closed_with_an_error(rabbitmq_node: RabbitmqNode, broker_url: str) -> None:
    with _channel(broker_url) as channel:
        assert rabbitmq_node.close_all_connections() == 1
        with pytest.raises(ConnectionClosedByBroker, match="closed by a test"):
            channel.connection.process_data_events(time_limit=_PATIENCE_SECONDS)


def test_a_frozen_node_says_nothing_and_loses_nothing(
    rabbitmq_node: RabbitmqNode, broker_vhost: str
) -> None:
    with _channel(rabbitmq_node.url(broker_vhost)) as channel:
        channel.queue_declare("q")
        rabbitmq_node.pause()
        with socket.create_connection((LOOPBACK, rabbitmq_node.port), 0.3) as client:
            client.sendall(b"AMQP\x00\x00\x09\x01")
            with pytest.raises(TimeoutError):
                client.recv(1)
        rabbitmq_node.resume()
        channel.basic_publish("", "q", b"")
        assert rabbitmq_node.queue_depths(broker_vhost) == {"q": 1}


def test_what_an_expression_does_wrong_is_said(rabbitmq_node: RabbitmqNode) -> None:
    with pytest.raises(RuntimeError, match="undef"):
        rabbitmq_node.evaluate("no_such_module:no_such_function()")


_OWNER = """
import sys, time
from tests.servers.rabbitmq import RabbitmqNode
node = RabbitmqNode({"consumer_timeout": 5000, "channel_tick_interval": 1000})
node.start()
settings = ("consumer_timeout", "channel_tick_interval")
print(node._process.pid, node._epmd.pid, node.home.directory, *(
    node.evaluate(f"element(2, application:get_env(rabbit, {name}))") for name in settings
), flush=True)
time.sleep(600)
"""


def test_a_node_with_settings_goes_with_a_process_that_is_killed() -> None:
    command = [sys.executable, "-c", _OWNER]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE)) as owner:
        assert owner.stdout
        node, epmd, directory, *settings = owner.stdout.readline().decode().split()
        owner.kill()
    assert settings == ["5000", "1000"]
    until(lambda: not Path(directory).exists(), "the directory to be removed")
    until(lambda: not (_alive(node) or _alive(epmd)), "the node and its epmd to end")


def test_a_node_that_cannot_start_shows_its_log() -> None:
    node = RabbitmqNode()
    try:
        (node.home.directory / "rabbitmq.conf").write_text("no_such_setting = 1\n")
        with pytest.raises(RuntimeError, match="no_such_setting"):
            node.start()
    finally:
        node.close()
    assert not node.home.directory.exists()


def _alive(process: str) -> bool:
    """Whether a process runs; the dead may stay listed for a while, as zombies."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
