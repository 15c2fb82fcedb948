"""The AMQP door: one job for each request, however it comes, and an answer to who asked."""

from typing import Any

import pika.exceptions
import pytest

from scheduler.service import SchedulerService
from tests.integration.jobs.intake.sender import Sender
from tests.integration.jobs.workbench import Workbench
from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.waiting import until
from workers.contract import Ping
from workers.database.pool import open_pool
from workers.jobs.housekeeping import ping
from workers.jobs.intake.topology import DIRECT_REPLIES

NOT_GRANTED = "This requester has no grant for this kind of job in this organization."


def answered(sender: Sender, channel: Any, count: int) -> list[dict[str, Any]]:
    """Wait for so many answers."""

    def come() -> bool:
        channel.connection.process_data_events(0.1)
        return len(sender.answers) >= count

    until(come, f"{count} answers")
    return [body for _, body in sender.answers]


@pytest.mark.usefixtures("intake")
@pytest.mark.parametrize("prefix", [None, "ce-", "cloudEvents:", "cloudEvents_"], ids=str)
def test_a_request_in_either_mode_becomes_a_job_of_its_sender(
    sender: Sender, prefix: str | None
) -> None:
    event = sender.event(type="keywright.certificate.generate.v1", data={"label": "Web"})
    with sender.channel() as channel:
        if prefix is None:
            sender.send(channel, event)
        else:
            data = event.pop("data")
            headers = {f"{prefix}{name}": value for name, value in event.items()}
            sender.send(channel, data, content_type="application/json", headers=headers)
        until(sender.jobs, "the job")
    assert sender.jobs() == [(1, "certificate.generate", "requester:crm", "amqp")]


@pytest.mark.usefixtures("intake")
def test_what_comes_again_leads_to_the_same_job(sender: Sender) -> None:
    with sender.channel() as channel:
        for _ in range(3):
            sender.send(channel, sender.event(), reply_to=DIRECT_REPLIES, correlation_id="mine")
        answers = answered(sender, channel, 3)
        assert sorted(each["data"]["created"] for each in answers) == [False, False, True]
        assert {each["data"]["job_id"] for each in answers} == {1}
        assert {each["type"] for each in answers} == {"keywright.job.accepted.v1"}
        assert {each["organization"] for each in answers} == {"Acme"}
        assert {properties.correlation_id for properties, _ in sender.answers} == {"mine"}
        # And with a finished job as well: an id is used up.
        sender.owner.execute("UPDATE keywright.job SET state = 'cancelled', finished_at = now()")
        sender.send(channel, sender.event(), reply_to=DIRECT_REPLIES)
        answers = answered(sender, channel, 5)
    assert [each["type"] for each in answers[3:]].count("keywright.job.cancelled.v1") == 1
    assert len(sender.jobs()) == 1


@pytest.mark.usefixtures("intake")
def test_an_id_with_other_content_is_refused(sender: Sender) -> None:
    with sender.channel() as channel:
        sender.send(channel, sender.event())
        sender.send(
            channel, sender.event(type="keywright.certificate.rekey.v1", data={"unique_name": "a"})
        )
        [refusal] = sender.refusals(1)
    assert refusal["type"] == "urn:keywright:problem:repeated-id"
    assert len(sender.jobs()) == 1


@pytest.mark.usefixtures("intake")
def test_the_end_of_a_job_is_told_to_who_asked(sender: Sender, conninfo: str) -> None:
    with (
        sender.channel() as channel,
        open_pool(conninfo, size=2, name="ledger") as ledger,
        open_pool(conninfo, size=1, name="worker") as pool,
    ):
        sender.send(channel, sender.event(), reply_to=DIRECT_REPLIES, correlation_id="7")
        answered(sender, channel, 1)
        workbench = Workbench(ledger, pool)
        workbench.execution({Ping: ping}).execute(1)
        workbench.keeper.stop()
        ended = answered(sender, channel, 2)[1]
    assert ended["type"] == "keywright.job.succeeded.v1"
    assert ended["subject"] == "job/1"
    assert ended["data"] == {
        "job_id": 1,
        "kind": "system.ping",
        "state": "succeeded",
        "result": None,
        "problem": None,
    }
    assert sender.answers[1][0].correlation_id == "7"


@pytest.mark.usefixtures("intake")
def test_a_refusal_goes_to_its_queue_and_to_who_asked(sender: Sender) -> None:
    with sender.channel() as channel:
        sender.send(channel, sender.event(organization="Rival"), reply_to=DIRECT_REPLIES)
        [refusal] = sender.refusals(1)
        assert answered(sender, channel, 1) == [refusal]
    assert refusal["type"] == "urn:keywright:problem:not-allowed"
    assert refusal["detail"] == NOT_GRANTED
    assert sender.jobs() == []


@pytest.mark.usefixtures("intake")
def test_what_is_not_granted_is_refused_alike_whatever_is_missing(sender: Sender) -> None:
    events = [
        sender.event(organization="Rival"),
        sender.event(organization="Nobody"),
        sender.event(type="keywright.expiry.scan.v1"),
        sender.event(type="keywright.no.such_kind.v1"),
    ]
    with sender.channel() as channel:
        for number, event in enumerate(events):
            sender.send(channel, {**event, "id": str(number)})
        refusals = sender.refusals(len(events))
        sender.owner.execute("UPDATE keywright.requester SET disabled_at = now()")
        sender.send(channel, sender.event())
        refusals += sender.refusals(1)
    assert {(each["type"], each["detail"]) for each in refusals} == {
        ("urn:keywright:problem:not-allowed", NOT_GRANTED)
    }
    assert sender.jobs() == []


@pytest.mark.usefixtures("intake")
def test_who_says_nothing_of_itself_or_the_name_of_another_is_refused(sender: Sender) -> None:
    with sender.channel() as channel:
        sender.send(channel, sender.event(), user_id=None)
        [refusal] = sender.refusals(1)
        assert refusal["detail"].startswith("user_id: ")
        with pytest.raises(pika.exceptions.ChannelClosedByBroker):
            sender.send(channel, sender.event(), user_id="another")
    assert sender.jobs() == []


@pytest.mark.usefixtures("intake")
@pytest.mark.parametrize(
    "reply_to",
    ["certificates", "keywright.intake", "keywright.reply.other", "amq.rabbitmq.trace", "x" * 255],
)
def test_an_answer_is_sent_to_no_queue_but_the_askers_own(sender: Sender, reply_to: str) -> None:
    with sender.channel() as channel:
        sender.send(channel, sender.event(), reply_to=reply_to)
        [refusal] = sender.refusals(1)
    assert refusal["detail"].startswith("reply_to: ")
    assert sender.jobs() == []


@pytest.mark.usefixtures("intake")
def test_a_queue_of_the_askers_own_keeps_answers_for_later(
    sender: Sender, rabbitmq_node: RabbitmqNode, broker_vhost: str
) -> None:
    queue = f"keywright.reply.{sender.user}"
    with sender.channel() as channel:
        channel.queue_declare(queue, durable=True)
        sender.send(channel, sender.event(), reply_to=queue)
    until(lambda: rabbitmq_node.queue_depths(broker_vhost)[queue] == 1, "the answer")


def test_requests_wait_while_no_scheduler_runs_and_two_schedulers_take_each_once(
    sender: Sender, intake: SchedulerService, conninfo: str, broker_url: str
) -> None:
    assert intake is not None
    with (
        SchedulerService(conninfo, broker_url, timetable=()) as another,
        sender.channel() as channel,
    ):
        assert another is not None
        for number in range(60):
            sender.send(channel, sender.event(id=str(number)))
        until(lambda: len(sender.jobs()) == 60, "all jobs")
    rows = sender.owner.execute("SELECT count(*), count(DISTINCT job_id) FROM keywright.intake")
    assert rows.fetchone() == (60, 60)
