"""Requests over AMQP while schedulers are killed: each leads to one job, and is answered."""

import json
import random
import threading

import psycopg
import pytest

from tests.faults.scheduler_processes import Schedulers
from tests.integration.jobs.intake.conftest import sender
from tests.integration.jobs.intake.sender import Sender
from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.waiting import until

__all__ = ["sender"]

REQUESTS = 400


@pytest.mark.timeout(240)
def test_a_scheduler_killed_anywhere_loses_no_request_and_doubles_none(
    sender: Sender,
    schedulers: Schedulers,
    conninfo: str,
    rabbitmq_node: RabbitmqNode,
    broker_vhost: str,
) -> None:
    queue = f"keywright.reply.{sender.user}"
    chance = random.Random(11)
    schedulers.start()
    schedulers.start()
    over = threading.Event()

    def kill() -> None:
        while not over.wait(chance.uniform(0.5, 2.0)):
            schedulers.start()
            schedulers.kill_one(0)

    with sender.channel() as channel:
        channel.queue_declare(queue, durable=True)
        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        try:
            for number in range(REQUESTS):
                event = sender.event(id=str(number))
                # A sender that is not sure whether it was taken sends again.
                for _ in range(chance.choice((1, 1, 2))):
                    sender.send(channel, event, reply_to=queue, correlation_id=str(number))
            sender.send(channel, sender.event(id="bad", organization="Rival"))
            with psycopg.connect(conninfo, autocommit=True) as connection:
                until(
                    lambda: connection.execute("SELECT FROM keywright.intake").rowcount == REQUESTS,
                    "all to be taken in",
                    seconds=120,
                )
        finally:
            over.set()
            killer.join()
    jobs = [job for job in sender.jobs() if job[3] == "amqp"]  # without the timetable's
    assert len(jobs) == REQUESTS
    # Those in between are killed, too: let one finish what is left.
    until(
        lambda: sender.owner.execute("SELECT FROM keywright.reply").rowcount == 0,
        "the answers to be sent",
        seconds=60,
    )
    until(
        lambda: rabbitmq_node.queue_depths(broker_vhost)["keywright.intake"] == 0,
        "the intake to be empty",
        seconds=60,
    )
    answered = set()
    with sender.channel() as channel:
        while True:
            _, properties, body = channel.basic_get(queue, auto_ack=True)
            if properties is None or body is None:
                break
            assert json.loads(body)["type"] == "keywright.job.accepted.v1"
            answered.add(properties.correlation_id)
    assert answered == {str(number) for number in range(REQUESTS)}
    # The refusal may have been sent twice, where its sender was cut off, and never not at all.
    [refusal] = sender.refusals(1)
    assert refusal["type"] == "urn:keywright:problem:not-allowed"
