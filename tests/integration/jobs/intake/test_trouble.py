"""Trouble of one message is that message's alone; trouble of ours costs no message anything."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from structlog.testing import capture_logs

from scheduler.service import SchedulerService
from tests.integration.jobs.intake.raw_headers import FAR, RawHeaders, deep
from tests.integration.jobs.intake.sender import Sender
from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.waiting import until
from workers.jobs.intake.topology import DIRECT_REPLIES, INTAKE

LATER = "the intake waits for the database"


@pytest.fixture
def _impatient(sender: Sender, rabbitmq_node: RabbitmqNode, broker_vhost: str) -> None:
    """Have the broker put a message aside when it comes for the third time."""
    assert sender.user
    rabbitmq_node.ctl(
        *("set_policy", "-p", broker_vhost, "impatient", r"^keywright\.intake$"),
        *('{"delivery-limit": 1}', "--apply-to", "queues"),
    )


@contextmanager
def away(conninfo: str) -> Iterator[None]:
    """Take the database away from everybody who is not there already."""
    name = psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]
    elsewhere = make_conninfo(conninfo, dbname="template1")
    with psycopg.connect(elsewhere, autocommit=True) as connection:

        def let_in(allowed: bool) -> None:
            connection.execute(
                SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(Identifier(str(name)), allowed)
            )

        let_in(False)
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND application_name = 'keywright scheduler'",
            [name],
        )
        try:
            yield
        finally:
            let_in(True)


def send_all(sender: Sender, ids: range) -> None:
    with sender.channel() as channel:
        for number in ids:
            sender.send(channel, sender.event(id=str(number)))


def put_aside(node: RabbitmqNode, vhost: str) -> int:
    return node.queue_depths(vhost)[f"{INTAKE}.XQ"]


@pytest.mark.usefixtures("intake")
def test_messages_whose_headers_cannot_be_read_are_refused_and_those_beside_them_are_not(
    sender: Sender, rabbitmq_node: RabbitmqNode, broker_vhost: str
) -> None:
    bad = (FAR, deep(5000))
    with sender.channel() as channel:
        for number, fields in enumerate(bad):
            sender.send(channel, sender.event(id=f"before {number}"))
            channel.basic_publish(
                INTAKE,
                "",
                b"{}",
                RawHeaders(fields, content_type="application/json", user_id=sender.user),
                mandatory=True,
            )
            sender.send(channel, sender.event(id=f"after {number}"))
        refusals = sender.refusals(len(bad))
        sender.await_jobs(2 * len(bad))
    assert {each["detail"] for each in refusals} == {
        "headers: there is a value in them that cannot be read."
    }
    assert put_aside(rabbitmq_node, broker_vhost) == 0


@pytest.mark.usefixtures("intake")
@pytest.mark.parametrize("name", ["content_type", "correlation_id", "reply_to"])
def test_a_property_that_is_not_in_utf_8_is_refused(sender: Sender, name: str) -> None:
    properties = {
        "content_type": "application/cloudevents+json",
        "reply_to": f"keywright.reply.{sender.user}",
        "user_id": sender.user,
        name: "\udcff",
    }
    with sender.channel() as channel:
        channel.basic_publish(INTAKE, "", b"{}", RawHeaders(b"", **properties), mandatory=True)
        [refusal] = sender.refusals(1)
    assert refusal["detail"].startswith(f"{name}: ")
    assert sender.jobs() == []


@pytest.mark.usefixtures("intake", "_impatient")
def test_requests_wait_while_the_database_is_away(
    sender: Sender, conninfo: str, rabbitmq_node: RabbitmqNode, broker_vhost: str
) -> None:
    send_all(sender, range(5))
    sender.await_jobs(5)
    with capture_logs() as logged:
        with away(conninfo):
            send_all(sender, range(5, 25))
            until(lambda: [each["event"] for each in logged].count(LATER) > 2, "some attempts")
            assert len(sender.jobs()) == 5
        sender.await_jobs(25)
    assert len(sender.jobs()) == 25
    assert put_aside(rabbitmq_node, broker_vhost) == 0


@pytest.mark.usefixtures("_impatient")
def test_a_scheduler_that_finds_no_database_leaves_the_requests_alone(
    sender: Sender, conninfo: str, broker_url: str, rabbitmq_node: RabbitmqNode, broker_vhost: str
) -> None:
    service = SchedulerService(conninfo, broker_url, timetable=())
    send_all(sender, range(5))
    with capture_logs() as logged, away(conninfo), service:
        until(lambda: [each["event"] for each in logged].count(LATER) > 2, "some attempts")
    with SchedulerService(conninfo, broker_url, timetable=()):
        sender.await_jobs(5)
    assert put_aside(rabbitmq_node, broker_vhost) == 0


@pytest.mark.usefixtures("intake")
@pytest.mark.parametrize("address", ["direct", "own"])
def test_an_answer_that_nobody_waits_for_is_dropped_with_a_word_and_the_next_is_sent(
    sender: Sender, address: str
) -> None:
    own = f"keywright.reply.{sender.user}"
    with sender.channel() as channel:
        channel.queue_declare(own, exclusive=True)
        reply_to = DIRECT_REPLIES if address == "direct" else own
        sender.send(channel, sender.event(), reply_to=reply_to)
        sender.await_jobs(1)
        until(lambda: no_replies(sender), "the first answer to be sent")
    with capture_logs() as logged, sender.channel() as channel:
        sender.owner.execute("UPDATE keywright.job SET state = 'cancelled', finished_at = now()")
        until(lambda: no_replies(sender), "the answer to be dropped")
        assert "nobody waits for an answer any more" in [each["event"] for each in logged]
        sender.send(channel, sender.event(id="2"), reply_to=DIRECT_REPLIES)
        until(lambda: answers(sender, channel) == 1, "the next answer")


def no_replies(sender: Sender) -> bool:
    return sender.owner.execute("SELECT FROM keywright.reply").rowcount == 0


def answers(sender: Sender, channel: BlockingChannel) -> int:
    channel.connection.process_data_events(0.1)
    return [each["data"]["job_id"] for _, each in sender.answers].count(2)


@pytest.mark.usefixtures("intake")
def test_a_request_that_we_stumble_over_is_put_aside_and_nothing_else(
    sender: Sender, rabbitmq_node: RabbitmqNode, broker_vhost: str
) -> None:
    sender.owner.execute("ALTER TABLE keywright.intake ADD CHECK (event_id <> '3')")
    send_all(sender, range(10))
    sender.await_jobs(9)
    until(lambda: put_aside(rabbitmq_node, broker_vhost) == 1, "the one to be put aside")
    assert len(sender.jobs()) == 9


@pytest.mark.usefixtures("intake")
def test_requests_are_taken_in_once_over_a_restart_of_the_broker(
    sender: Sender, rabbitmq_node: RabbitmqNode
) -> None:
    send_all(sender, range(20))
    rabbitmq_node.restart()
    send_all(sender, range(10, 30))
    sender.await_jobs(30)
    with sender.channel() as channel:
        sender.send(channel, sender.event(id="bad", organization="Rival"))
        [refusal] = sender.refusals(1)
    assert refusal["type"] == "urn:keywright:problem:not-allowed"
    assert len(sender.jobs()) == 30
