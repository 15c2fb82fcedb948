import json
from datetime import UTC, datetime
from uuid import UUID

from workers.contract.envelope import Ended
from workers.jobs.intake.messages import Reply, reply_message

INSTALLATION = UUID(int=7)
REPLY = Reply(
    reply_id=3,
    job_id=42,
    kind="job.succeeded",
    reply_to="keywright.reply.crm",
    correlation_id="mine",
    data={
        "job_id": 42,
        "kind": "system.ping",
        "state": "succeeded",
        "result": None,
        "problem": None,
    },
    written_at=datetime(2030, 1, 1, tzinfo=UTC),
    organization="Acme",
)


def test_an_answer_is_a_cloud_event_of_the_contract() -> None:
    event = json.loads(reply_message(REPLY, INSTALLATION).body)
    Ended.model_validate(event.pop("data"))
    assert event == {
        "specversion": "1.0",
        "id": f"{INSTALLATION}-3",
        "source": f"urn:keywright:{INSTALLATION}",
        "type": "keywright.job.succeeded.v1",
        "subject": "job/42",
        "time": "2030-01-01T00:00:00+00:00",
        "datacontenttype": "application/json",
        "organization": "Acme",
    }


def test_an_answer_goes_to_its_queue_with_the_asker_s_mark() -> None:
    message = reply_message(REPLY, INSTALLATION)
    assert (message.exchange, message.routing_key) == ("", "keywright.reply.crm")
    assert message.properties.correlation_id == "mine"
    assert message.properties.content_type == "application/cloudevents+json"
