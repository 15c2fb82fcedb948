"""Hints on their way to RabbitMQ: confirmed, or known not to be."""

import threading
from collections.abc import Iterator

import pika
import pytest

from tests.servers.ports import free_port
from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.tcp_proxy import TcpProxy
from tests.servers.waiting import until
from workers.contract import Queue
from workers.jobs.hints import Hint, decode_hints
from workers.jobs.publisher import BrokerUnavailableError, Publisher
from workers.jobs.queues import dead_letter_queue

PASSWORD = "hunter2"


@pytest.fixture
def publisher(broker_url: str) -> Iterator[Publisher]:
    """A publisher to an empty virtual host."""
    publisher = Publisher(broker_url)
    yield publisher
    publisher.close()


def hints(count: int, queue: Queue = Queue.CERTIFICATES) -> list[Hint]:
    """Return hints for as many jobs."""
    return [Hint(number, queue) for number in range(1, count + 1)]


def refusal(url: str) -> str:
    """Return the text of the error with which a broker is out of reach."""
    publisher = Publisher(url, timeout_seconds=10)
    with pytest.raises(BrokerUnavailableError) as refused:
        publisher.publish(hints(1))
    publisher.close()
    return str(refused.value)


def test_what_was_confirmed_is_on_its_queue_and_lasts(
    publisher: Publisher, rabbitmq_node: RabbitmqNode, broker_vhost: str, broker_url: str
) -> None:
    sent = [Hint(number, queue) for number, queue in enumerate(Queue, start=1)]
    assert publisher.publish(sent) == set()
    depths = rabbitmq_node.queue_depths(broker_vhost)
    assert depths == dict.fromkeys((queue.value for queue in Queue), 1) | dict.fromkeys(
        (dead_letter_queue(queue.value) for queue in Queue), 0
    )
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as reader:
        for hint in sent:
            _, properties, body = reader.channel().basic_get(hint.queue.value, auto_ack=True)
            assert body is not None
            assert properties is not None
            assert decode_hints(body, hint.queue.value) == [hint]
            assert properties.delivery_mode == 2


def test_thousands_are_confirmed_in_one_go_and_none_is_missing(
    publisher: Publisher, broker_url: str
) -> None:
    assert publisher.publish(hints(3000)) == set()
    found: list[Hint] = []
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as reader:
        channel = reader.channel()
        while len(found) < 3000:
            _, _, body = channel.basic_get("certificates", auto_ack=True)
            assert body is not None
            found += decode_hints(body, "certificates")
    assert sorted(hint.job_id for hint in found) == list(range(1, 3001))


def test_nothing_to_publish_is_confirmed_at_once(publisher: Publisher) -> None:
    assert publisher.publish([]) == set()


def test_closing_is_not_the_end(
    publisher: Publisher, rabbitmq_node: RabbitmqNode, broker_vhost: str
) -> None:
    publisher.close()
    publisher.publish(hints(1))
    publisher.close()
    publisher.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "publisher"]
    assert publisher.publish(hints(1)) == set()
    assert rabbitmq_node.queue_depths(broker_vhost)["certificates"] == 2


def test_hints_for_a_queue_that_is_gone_come_back_and_the_next_find_it_again(
    publisher: Publisher, rabbitmq_node: RabbitmqNode, broker_vhost: str, broker_url: str
) -> None:
    assert publisher.publish(hints(1)) == set()
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as vandal:
        vandal.channel().queue_delete("certificates")
    assert publisher.publish(hints(5)) == {1, 2, 3, 4, 5}
    assert publisher.publish(hints(5)) == set()
    assert rabbitmq_node.queue_depths(broker_vhost)["certificates"] == 5


@pytest.mark.parametrize("cut_by", ["the broker", "the network"])
def test_after_a_cut_connection_the_next_hints_get_through(
    rabbitmq_node: RabbitmqNode, broker_vhost: str, cut_by: str
) -> None:
    with TcpProxy(rabbitmq_node.port) as proxy:
        publisher = Publisher(rabbitmq_node.url(broker_vhost, port=proxy.port))
        assert publisher.publish(hints(1)) == set()
        if cut_by == "the broker":
            rabbitmq_node.close_all_connections()
        else:
            proxy.cut()
        until(lambda: publisher.publish(hints(3)) == set(), "a new connection")
        assert rabbitmq_node.queue_depths(broker_vhost)["certificates"] >= 4
        publisher.close()


def test_a_broker_that_raised_an_alarm_takes_no_hints_until_it_is_over(
    publisher: Publisher, rabbitmq_node: RabbitmqNode
) -> None:
    assert publisher.publish(hints(1)) == set()
    rabbitmq_node.set_memory_alarm(on=True)
    assert publisher.publish(hints(4)) == {1, 2, 3, 4}
    rabbitmq_node.set_memory_alarm(on=False)
    until(lambda: publisher.publish(hints(4)) == set(), "the broker to take hints again")


def test_where_nobody_listens_is_said_without_the_password() -> None:
    port = free_port()
    text = refusal(f"amqp://user:{PASSWORD}@127.0.0.1:{port}/")
    assert text.startswith(f"No connection to the message broker at 127.0.0.1:{port} (")
    assert text.endswith("check KEYWRIGHT_BROKER_URL.")
    assert PASSWORD not in text


def test_a_wrong_password_is_refused_and_not_repeated(
    rabbitmq_node: RabbitmqNode, broker_vhost: str
) -> None:
    text = refusal(rabbitmq_node.url(broker_vhost, password=PASSWORD))
    assert "check KEYWRIGHT_BROKER_URL." in text
    assert PASSWORD not in text


def test_a_virtual_host_that_is_not_there_is_refused(rabbitmq_node: RabbitmqNode) -> None:
    assert "check KEYWRIGHT_BROKER_URL." in refusal(rabbitmq_node.url("nowhere"))


def test_queues_that_were_declared_otherwise_are_refused(broker_url: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as other:
        other.channel().queue_declare("notifications", durable=True)
    assert "check KEYWRIGHT_BROKER_URL." in refusal(broker_url)
