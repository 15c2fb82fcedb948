"""Announcements as messages."""

import json
from uuid import UUID

from tests.unit.announcements.announced import announced
from workers.announcements.cloud_events import cloud_event
from workers.announcements.messages import message, routing_key

HERE = UUID("0a1b2c3d-0000-4000-8000-000000000001")


def test_the_routing_key_begins_with_the_organizations_number() -> None:
    assert routing_key(announced(1)) == "7.certificate.issued"


def test_what_is_of_no_organization_begins_with_system() -> None:
    told = announced(1, organization_id=None, organization=None, kind="job.failed")
    assert routing_key(told) == "system.job.failed"


def test_the_message_goes_to_everybody_and_lasts() -> None:
    sent = message(announced(42), HERE)
    assert (sent.exchange, sent.routing_key) == ("keywright.events", "7.certificate.issued")
    assert sent.properties.delivery_mode == 2
    assert sent.properties.message_id == "00000000-0000-0000-0000-00000000002a"
    assert sent.properties.content_type == "application/cloudevents+json"
    assert json.loads(sent.body) == cloud_event(announced(42), HERE)
    assert not sent.mandatory


def test_for_one_queue_it_is_the_same_message_and_must_arrive() -> None:
    to_all, to_one = message(announced(42), HERE), message(announced(42), HERE, only_to_queue="q")
    assert (to_one.exchange, to_one.routing_key, to_one.mandatory) == ("", "q", True)
    assert (to_one.body, to_one.properties) == (to_all.body, to_all.properties)


def test_a_name_in_any_script_stays_as_it_is() -> None:
    body = message(announced(1, organization="Müller & Söhne 株式会社"), HERE).body
    assert json.loads(body)["organization"] == "Müller & Söhne 株式会社"
