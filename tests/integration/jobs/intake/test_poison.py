"""Trouble: a message that would end connections is refused; for trouble of ours, all wait."""

import struct
from typing import Any

import pika.data
import pytest
from structlog.testing import capture_logs

from scheduler.service import SchedulerService
from tests.integration.jobs.intake.sender import Sender
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.waiting import until


class Far:
    """A time that Python cannot tell: pika stumbles over it while it reads a frame."""


@pytest.fixture
def _far_times(monkeypatch: pytest.MonkeyPatch) -> None:
    encode = pika.data.encode_value

    def encode_value(pieces: list[bytes], value: Any) -> int:
        if isinstance(value, Far):
            pieces.append(struct.pack(">cQ", b"T", 2**62))
            return 9
        return int(encode(pieces, value))

    monkeypatch.setattr(pika.data, "encode_value", encode_value)


@pytest.mark.usefixtures("_far_times")
def test_a_message_that_cannot_be_read_is_refused_and_those_beside_it_are_taken_in(
    sender: Sender, conninfo: str, broker_url: str, rabbitmq_node: RabbitmqNode, broker_vhost: str
) -> None:
    with sender.channel() as channel:
        for number in range(30):
            sender.send(channel, sender.event(id=str(number)))
        sender.send(channel, sender.event(id="poison"), headers={"far": Far()})
        for number in range(30, 60):
            sender.send(channel, sender.event(id=str(number)))
    with SchedulerService(conninfo, broker_url, timetable=()):
        until(lambda: len(sender.jobs()) == 60, "all but the one", seconds=90)
        [refusal] = sender.refusals(1)
    assert refusal["detail"].startswith("headers: ")
    assert rabbitmq_node.queue_depths(broker_vhost)["keywright.intake.XQ"] == 0


def test_requests_wait_while_the_database_does_not_do_its_part_and_none_is_refused_or_put_aside(
    sender: Sender,
    postgres: PostgresServer,
    conninfo: str,
    rabbitmq_node: RabbitmqNode,
    broker_vhost: str,
) -> None:
    sender.owner.execute(
        "REVOKE EXECUTE ON FUNCTION keywright.enqueue_for FROM keywright_scheduler"
    )
    with (
        postgres.login(conninfo, "keywright_scheduler") as login,
        SchedulerService(login, sender.admin_url, timetable=()),
        sender.channel() as channel,
        capture_logs() as logged,
    ):
        for number in range(5):
            sender.send(channel, sender.event(id=str(number)))
        until(
            lambda: (
                [each["event"] for each in logged].count("the intake waits for the database") > 2
            ),
            "it to try again",
        )
        assert sender.jobs() == []
        sender.owner.execute(
            "GRANT EXECUTE ON FUNCTION keywright.enqueue_for TO keywright_scheduler"
        )
        sender.await_jobs(5)
    depths = rabbitmq_node.queue_depths(broker_vhost)
    assert (depths["keywright.intake.XQ"], depths["keywright.refused"]) == (0, 0)
