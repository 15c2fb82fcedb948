"""The consuming side of RabbitMQ: every hint is acknowledged, whoever works how fast."""

import threading
from collections.abc import Iterator

import dramatiq
import pika
import pytest

from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.waiting import until
from workers.contract import Queue
from workers.jobs.broker import (
    BLOCKED_SECONDS,
    HEARTBEAT_SECONDS,
    LedgerRabbitmqBroker,
    connection_parameters,
)
from workers.jobs.broker_health import QueueDepth, queue_depths
from workers.jobs.hints import Hint
from workers.jobs.intake.topology import INTAKE
from workers.jobs.publisher import BrokerUnavailableError, Publisher
from workers.jobs.queues import dead_letter_queue

QUEUE = Queue.CERTIFICATES


class Followers:
    """Many threads that follow hints by noting them."""

    def __init__(self, url: str, *, threads: int = 8) -> None:
        self.followed: list[int] = []
        self._broker = LedgerRabbitmqBroker(url, middleware=[])
        declare = dramatiq.actor(
            actor_name=QUEUE.value, queue_name=QUEUE.value, broker=self._broker
        )
        declare(self._follow)
        self._worker = dramatiq.Worker(self._broker, worker_threads=threads, worker_timeout=100)
        self._worker.start()

    def stop(self) -> None:
        """Follow no more."""
        self._worker.stop(timeout=20_000)
        self._broker.close()

    def _follow(self, job_id: int) -> None:
        self.followed.append(job_id)
        if job_id % 50 == 0:
            raise RuntimeError("some fail")


@pytest.fixture
def followers(broker_url: str) -> Iterator[Followers]:
    """Followers of the hints on one queue."""
    followers = Followers(broker_url)
    yield followers
    followers.stop()


def publish(url: str, count: int) -> None:
    """Publish hints for so many jobs."""
    publisher = Publisher(url)
    assert publisher.publish([Hint(number, QUEUE) for number in range(1, count + 1)]) == set()
    publisher.close()


def test_every_hint_is_followed_once_and_acknowledged_however_many_threads_do_it(
    followers: Followers, rabbitmq_node: RabbitmqNode, broker_vhost: str, broker_url: str
) -> None:
    publish(broker_url, 4000)
    until(lambda: len(followers.followed) >= 4000, "all hints to be followed")
    until(
        lambda: rabbitmq_node.queue_depths(broker_vhost)[QUEUE.value] == 0,
        "all hints to be acknowledged",
    )
    assert sorted(followers.followed) == list(range(1, 4001))
    assert rabbitmq_node.queue_depths(broker_vhost)[dead_letter_queue(QUEUE.value)] == 0


def test_stopping_leaves_no_thread_behind(broker_url: str) -> None:
    before = set(threading.enumerate())
    followers = Followers(broker_url)
    publish(broker_url, 10)
    until(lambda: len(followers.followed) == 10, "ten hints to be followed")
    followers.stop()
    assert set(threading.enumerate()) <= before


def test_a_connection_has_a_heartbeat_and_is_not_patient_for_ever() -> None:
    parameters = connection_parameters("amqp://u:p@h:1234/v?heartbeat=0&tls=none")
    assert (parameters.host, parameters.port, parameters.virtual_host) == ("h", 1234, "v")
    assert parameters.heartbeat == HEARTBEAT_SECONDS
    assert parameters.blocked_connection_timeout == BLOCKED_SECONDS


def test_the_depths_of_all_queues_are_told_in_the_order_of_urgency(broker_url: str) -> None:
    assert queue_depths(broker_url) == [
        QueueDepth(queue=queue, waiting=None, dead_letters=None) for queue in (*Queue, INTAKE)
    ]
    publish(broker_url, 3)
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as stranger:
        stranger.channel().basic_publish("", dead_letter_queue("encryption"), b"what?")
    until(
        lambda: (
            queue_depths(broker_url)
            == [
                QueueDepth(queue="notifications", waiting=0, dead_letters=0),
                QueueDepth(queue="certificates", waiting=3, dead_letters=0),
                QueueDepth(queue="encryption", waiting=0, dead_letters=1),
                QueueDepth(queue="maintenance", waiting=0, dead_letters=0),
                QueueDepth(queue="keywright.intake", waiting=None, dead_letters=None),
            ]
        ),
        "the depths to be known",
    )


def test_depths_that_cannot_be_had_are_said_without_the_password(
    rabbitmq_node: RabbitmqNode, broker_vhost: str
) -> None:
    with pytest.raises(BrokerUnavailableError) as refused:
        queue_depths(rabbitmq_node.url(broker_vhost, password="hunter2"))
    assert "check KEYWRIGHT_BROKER_URL" in str(refused.value)
    assert "hunter2" not in str(refused.value)
