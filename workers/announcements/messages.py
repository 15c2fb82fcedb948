"""Announcements as messages: CloudEvents in structured mode, by their AMQP binding. Pure."""

import json
from uuid import UUID

import pika

from workers.announcements.cloud_events import cloud_event
from workers.announcements.reading import Announced
from workers.contract.envelope import event_type
from workers.jobs.confirming import Outgoing

EXCHANGE = "keywright.events"
MEDIA_TYPE = "application/cloudevents+json"


def routing_key(announced: Announced) -> str:
    """Return such as ``7.certificate.issued``; what is of no organization begins with system."""
    return f"{announced.organization_id or 'system'}.{announced.kind}"


def message(
    announced: Announced, installation_id: UUID, *, only_to_queue: str | None = None
) -> Outgoing:
    """Return the message for everybody who listens, or for one queue; it is the same one."""
    return Outgoing(
        exchange=EXCHANGE if only_to_queue is None else "",
        routing_key=routing_key(announced) if only_to_queue is None else only_to_queue,
        body=json.dumps(cloud_event(announced, installation_id), ensure_ascii=False).encode(),
        properties=pika.BasicProperties(
            content_type=MEDIA_TYPE,
            delivery_mode=pika.DeliveryMode.Persistent,
            message_id=str(announced.event_id),
            type=event_type(announced.kind),
            timestamp=int(announced.occurred_at.timestamp()),
            app_id="keywright",
        ),
        # Nobody need listen to announcements, but a queue that is to be filled must be there.
        mandatory=only_to_queue is not None,
    )
