"""A message that ends the connection of whoever reads it: put aside, and nobody else with it."""

import struct
from typing import Any

import pika.data
import pytest

from scheduler.service import SchedulerService
from tests.integration.jobs.intake.sender import Sender
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
def test_a_message_that_cannot_be_read_is_put_aside_and_those_beside_it_are_taken_in(
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
        until(
            lambda: rabbitmq_node.queue_depths(broker_vhost)["keywright.intake.XQ"] == 1,
            "the one to be put aside",
        )
