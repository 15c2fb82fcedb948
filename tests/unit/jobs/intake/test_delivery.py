import json

import pika

from workers.errors import NotAllowedError
from workers.jobs.intake.delivery import incoming, refusals_of
from workers.jobs.intake.taking import Incoming

ERROR = NotAllowedError("This is not granted.")


def message(body: bytes = b"{}", **also: object) -> Incoming:
    properties = pika.BasicProperties(
        **{"user_id": "crm", "content_type": "application/json", **also}  # type: ignore[arg-type]
    )
    return incoming(properties, body)


def test_a_refusal_says_whose_it_is_and_repeats_nothing_of_the_body() -> None:
    headers = {"ce-source": "urn:crm", "ce-id": "7", "ce-type": "wrong"}
    [refusal] = refusals_of(message(b'{"password": "secret"}', headers=headers), ERROR)
    assert refusal.exchange == "keywright.refused"
    assert refusal.properties.headers == {
        "keywright-user": "crm",
        "keywright-source": "urn:crm",
        "keywright-id": "7",
    }
    assert json.loads(refusal.body) == {
        "type": "urn:keywright:problem:not-allowed",
        "title": "The request is not allowed",
        "detail": "This is not granted.",
        "instance": "urn:keywright:request",
    }


def test_a_refusal_is_sent_to_who_asked_with_its_mark() -> None:
    asked = message(reply_to="keywright.reply.crm", correlation_id="7")
    to_us, to_them = refusals_of(asked, ERROR)
    assert (to_them.exchange, to_them.routing_key) == ("", "keywright.reply.crm")
    assert to_them.properties.correlation_id == "7"
    assert to_them.body == to_us.body


def test_a_refusal_is_sent_to_nobody_where_the_address_is_another_s() -> None:
    assert len(refusals_of(message(reply_to="keywright.intake"), ERROR)) == 1


def test_properties_that_are_not_in_utf_8_are_no_address() -> None:
    asked = message(reply_to=b"\xff", correlation_id=b"\xff", content_type=b"\xff")
    assert len(refusals_of(asked, ERROR)) == 1
