"""RabbitMQ's users can do what they are for and nothing else, as a real broker sees it."""

from collections.abc import Iterator

import dramatiq
import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.integration.jobs.broker_users import NOT_ONES_OWN, REFUSED, Act, Users, declare_all
from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.waiting import until
from workers.contract import Queue
from workers.jobs.broker import LedgerRabbitmqBroker
from workers.jobs.broker_health import queue_depths
from workers.jobs.broker_users import OPERATOR, SCHEDULER, WORKER, requester_rights
from workers.jobs.hints import Hint
from workers.jobs.publisher import Publisher

MINE, NEIGHBOUR = 7, 77
ASKER, LISTENER, BOTH = "asker", "listener", "both"


@pytest.fixture(scope="module")
def users(
    _shared_rabbitmq_node: RabbitmqNode, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Users]:
    """The users of a deployment, and three of other systems."""
    users = Users(_shared_rabbitmq_node, tmp_path_factory.mktemp("users"))
    users.add(requester_rights(ASKER, reply_queue=True))
    users.add(requester_rights(LISTENER, asks=False, organizations=[MINE]))
    users.add(requester_rights(BOTH, organizations=[MINE, 9]))
    with users.channel(SCHEDULER) as channel:
        declare_all(channel)
    yield users
    users.remove()


def take(channel: BlockingChannel, queue: str) -> tuple[pika.BasicProperties, bytes | None]:
    """Consume one message."""
    for _, properties, body in channel.consume(queue, auto_ack=True, inactivity_timeout=10):
        assert properties is not None, f"nothing came on {queue}"
        channel.cancel()
        return properties, body
    raise AssertionError


def test_hints_go_from_the_scheduler_to_a_worker(users: Users) -> None:
    followed: list[int] = []
    broker = LedgerRabbitmqBroker(users.url(WORKER), middleware=[])

    @dramatiq.actor(actor_name="encryption", queue_name="encryption", broker=broker)
    def follow(job_id: int) -> None:
        followed.append(job_id)

    worker = dramatiq.Worker(broker, worker_threads=2, worker_timeout=100)
    worker.start()
    publisher = Publisher(users.url(SCHEDULER))
    try:
        assert publisher.publish([Hint(1, Queue.ENCRYPTION), Hint(2, Queue.ENCRYPTION)]) == set()
        until(lambda: sorted(followed) == [1, 2], "the hints to be followed")
        with users.channel(SCHEDULER) as channel:
            channel.basic_publish("", "encryption", b"not a hint")
        until(
            lambda: users.node.queue_depths(users.vhost)["encryption.XQ"] == 1,
            "the worker to dead-letter what is no hint",
        )
    finally:
        publisher.close()
        worker.stop(timeout=20_000)
        broker.close()


def test_a_worker_waits_for_a_scheduler_to_declare_its_queue(users: Users) -> None:
    broker = LedgerRabbitmqBroker(users.url(WORKER), middleware=[])
    broker.declare_queue("notifications")
    with users.channel(SCHEDULER) as channel:
        channel.queue_delete("notifications")
        with pytest.raises(dramatiq.errors.ConnectionClosed, match="a scheduler does so"):
            broker.consume("notifications")
        declare_all(channel)
    consumer = broker.consume("notifications", timeout=100)
    assert next(consumer) is None
    consumer.close()
    broker.close()


@pytest.mark.parametrize("user", [SCHEDULER, WORKER])
def test_both_can_ask_for_the_depths_of_queues(users: Users, user: str) -> None:
    assert all(depth.waiting is not None for depth in queue_depths(users.url(user)))


def test_a_request_goes_in_and_a_direct_reply_comes_back(users: Users) -> None:
    with users.channel(BOTH) as asking, users.channel(SCHEDULER) as taking:
        replies: list[bytes] = []

        asking.basic_consume(
            "amq.rabbitmq.reply-to", lambda *got: replies.append(got[3]), auto_ack=True
        )
        properties = pika.BasicProperties(user_id=BOTH, reply_to="amq.rabbitmq.reply-to")
        asking.basic_publish("keywright.intake", "", b"please", properties, mandatory=True)
        asked, _ = take(taking, "keywright.intake")
        assert asked.user_id == BOTH
        assert asked.reply_to is not None
        taking.basic_publish("", asked.reply_to, b"done")
        asking.connection.process_data_events(time_limit=10)
    assert replies == [b"done"]


@pytest.mark.parametrize("queue", [f"keywright.reply.{ASKER}", f"keywright.reply.{ASKER}.a.1"])
def test_a_reply_comes_back_on_a_queue_of_ones_own(users: Users, queue: str) -> None:
    with users.channel(ASKER) as asking, users.channel(SCHEDULER) as answering:
        asking.queue_declare(queue, exclusive=True)
        answering.basic_publish("", queue, b"done", mandatory=True)
        assert take(asking, queue)[1] == b"done"


@pytest.mark.parametrize("user", [LISTENER, BOTH])
def test_announcements_of_ones_own_organizations_come_and_no_others(
    users: Users, user: str
) -> None:
    queue = f"keywright.events.{user}"
    with users.channel(user) as listening, users.channel(SCHEDULER) as announcing:
        listening.queue_declare(queue, exclusive=True)
        listening.queue_bind(queue, "keywright.events", f"{MINE}.#")
        for organization in (NEIGHBOUR, "system", MINE):
            announcing.basic_publish(
                "keywright.events", f"{organization}.certificate.issued", str(organization).encode()
            )
        assert take(listening, queue)[1] == str(MINE).encode()


def publish(exchange: str, key: str = "", user_id: str | None = None) -> Act:
    """Publish something."""
    return lambda channel: channel.basic_publish(
        exchange, key, b"x", pika.BasicProperties(user_id=user_id)
    )


def bind(queue: str, key: str = "", *, exchange: str = "keywright.events") -> Act:
    """Declare a queue and bind it."""

    def act(channel: BlockingChannel) -> None:
        channel.queue_declare(queue, exclusive=True)
        channel.queue_bind(queue, exchange, key)

    return act


def bind_exchange(name: str, key: str) -> Act:
    """Declare an exchange and bind it to the announcements, to bind a queue to it in turn."""

    def act(channel: BlockingChannel) -> None:
        channel.exchange_declare(name, "fanout", auto_delete=True)
        channel.exchange_bind(name, "keywright.events", key)

    return act


def declare(queue: str, **arguments: object) -> Act:
    """Declare a queue."""
    return lambda channel: channel.queue_declare(queue, exclusive=True, arguments=arguments or None)


def consume(queue: str) -> Act:
    """Begin to consume."""
    return lambda channel: channel.basic_consume(queue, lambda *_: None)


def purge(queue: str) -> Act:
    """Empty a queue."""
    return lambda channel: channel.queue_purge(queue)


def delete(queue: str) -> Act:
    """Delete a queue."""
    return lambda channel: channel.queue_delete(queue)


def drop_exchange(name: str) -> Act:
    """Delete an exchange."""
    return lambda channel: channel.exchange_delete(name)


OTHERS_QUEUES = [
    "notifications",
    "notifications.XQ",
    "keywright.intake",
    "keywright.intake.XQ",
    "keywright.refused",
]
NOT_FOR_REQUESTERS: dict[str, Act] = (
    {f"consume {queue}": consume(queue) for queue in OTHERS_QUEUES}
    | {f"empty {queue}": purge(queue) for queue in OTHERS_QUEUES}
    | {f"delete {queue}": delete(queue) for queue in OTHERS_QUEUES}
    | {
        "publish to a work queue": publish("", "notifications"),
        "publish to a dead-letter queue": publish("", "notifications.XQ"),
        "publish round the exchange": publish("", "keywright.intake"),
        "publish a refusal": publish("keywright.refused"),
        "publish an announcement": publish("keywright.events", f"{MINE}.certificate.issued"),
        "publish to a queue of another": publish("", f"keywright.reply.{ASKER}s"),
        "declare any queue": declare("stranger"),
        "declare a queue of another": declare("keywright.reply.askers"),
        "declare a queue of all": declare("keywright.reply"),
        "take over the intake": drop_exchange("keywright.intake"),
        "take over the announcements": drop_exchange("keywright.events"),
        "hear the intake": bind(f"keywright.events.{BOTH}", exchange="keywright.intake"),
    }
)


@pytest.mark.parametrize("what", NOT_FOR_REQUESTERS)
@pytest.mark.parametrize("user", [ASKER, LISTENER, BOTH])
def test_no_requester_can(users: Users, user: str, what: str) -> None:
    assert users.refusal(user, NOT_FOR_REQUESTERS[what]) == REFUSED


@pytest.mark.parametrize("user", [ASKER, BOTH])
@pytest.mark.parametrize("other", [SCHEDULER, WORKER, "another"])
def test_nobody_speaks_in_the_name_of_another(users: Users, user: str, other: str) -> None:
    assert users.refusal(user, publish("keywright.intake", user_id=other)) == NOT_ONES_OWN


@pytest.mark.parametrize("key", ["#", "*.#", f"{NEIGHBOUR}.#", f"{MINE}", "system.#", "*.*.*"])
@pytest.mark.parametrize("user", [LISTENER, BOTH])
def test_nobody_hears_of_other_organizations(users: Users, user: str, key: str) -> None:
    name = f"keywright.events.{user}"
    assert users.refusal(user, bind(name, key)) == REFUSED
    assert users.refusal(user, bind_exchange(name, key)) == REFUSED


def test_whoever_only_listens_cannot_ask(users: Users) -> None:
    assert users.refusal(LISTENER, publish("keywright.intake")) == REFUSED


def test_whoever_only_asks_cannot_listen(users: Users) -> None:
    assert users.refusal(ASKER, bind(f"keywright.reply.{ASKER}", f"{MINE}.#")) == REFUSED


def test_dead_letters_of_ones_own_queue_cannot_reach_a_work_queue(users: Users) -> None:
    arguments = {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "notifications",
        "x-message-ttl": 1,
    }
    assert users.refusal(ASKER, declare(f"keywright.reply.{ASKER}.x", **arguments)) == REFUSED


@pytest.mark.parametrize(
    ("what", "act"),
    [
        ("declare", declare("stranger")),
        ("delete", delete("notifications")),
        ("announce", publish("keywright.events", "7.x")),
        ("ask", publish("keywright.intake")),
        ("take requests", consume("keywright.intake")),
        ("take dead letters", consume("notifications.XQ")),
        ("take refusals", consume("keywright.refused")),
        ("hear", bind("keywright.events.keywright_worker", "#")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_worker_has_no_business_to(users: Users, what: str, act: Act) -> None:
    assert users.refusal(WORKER, act) == REFUSED, what


@pytest.mark.parametrize("act", [consume("notifications"), purge("keywright.refused")], ids="ab")
def test_whoever_looks_on_changes_nothing(users: Users, act: Act) -> None:
    assert users.refusal(OPERATOR, act) == REFUSED
    assert users.refusal(OPERATOR, publish("", "notifications")) == REFUSED


def test_a_scheduler_leaves_queues_of_others_alone(users: Users) -> None:
    for act in (declare("stranger"), consume(f"keywright.reply.{ASKER}"), consume("encryption.XQ")):
        assert users.refusal(SCHEDULER, act) in {REFUSED, 404}
