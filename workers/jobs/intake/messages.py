"""What goes back to who asked, as messages. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import pika

from workers.contract.envelope import event_type
from workers.errors import KeywrightError
from workers.jobs.confirming import Outgoing
from workers.jobs.intake.topology import REFUSED

_PROBLEM = "application/problem+json"
_EVENT = "application/cloudevents+json"
REFUSED_TYPE = event_type("request.refused")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a message came from, as far as it is known."""

    broker_user: str | None = None
    source: str | None = None
    event_id: str | None = None
    reply_to: str | None = None
    correlation_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer that waits to be sent."""

    reply_id: int
    job_id: int
    kind: str
    reply_to: str
    correlation_id: str | None
    data: Mapping[str, Any]
    written_at: datetime
    organization: str | None


def refusal_messages(error: KeywrightError, origin: Origin, instance: str) -> list[Outgoing]:
    """Return the reason for the queue of refused requests, and for who asked if that is known."""
    body = json.dumps(error.problem(instance), ensure_ascii=False).encode()
    headers = {
        "keywright-user": origin.broker_user or "",
        "keywright-source": origin.source or "",
        "keywright-id": origin.event_id or "",
    }
    to_us = Outgoing(
        exchange=REFUSED,
        routing_key="",
        body=body,
        properties=_properties(_PROBLEM, REFUSED_TYPE, headers=headers),
        mandatory=False,
    )
    if origin.reply_to is None:
        return [to_us]
    to_them = Outgoing(
        exchange="",
        routing_key=origin.reply_to,
        body=body,
        properties=_properties(_PROBLEM, REFUSED_TYPE, correlation_id=origin.correlation_id),
        mandatory=False,
    )
    return [to_us, to_them]


def reply_message(reply: Reply, installation_id: UUID) -> Outgoing:
    """Return an answer as a CloudEvent in structured mode."""
    event_id = f"{installation_id}-{reply.reply_id}"
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": f"urn:keywright:{installation_id}",
        "type": event_type(reply.kind),
        "subject": f"job/{reply.job_id}",
        "time": reply.written_at.isoformat(),
        "datacontenttype": "application/json",
        "data": reply.data,
    }
    if reply.organization is not None:
        event["organization"] = reply.organization
    return Outgoing(
        exchange="",
        routing_key=reply.reply_to,
        body=json.dumps(event, ensure_ascii=False).encode(),
        properties=_properties(
            _EVENT,
            event_type(reply.kind),
            correlation_id=reply.correlation_id,
            message_id=event_id,
        ),
        mandatory=True,
    )


def _properties(
    media_type: str,
    kind: str,
    *,
    correlation_id: str | None = None,
    message_id: str | None = None,
    headers: dict[str, Any] | None = None,
) -> pika.BasicProperties:
    return pika.BasicProperties(
        content_type=media_type,
        delivery_mode=pika.DeliveryMode.Persistent,
        type=kind,
        correlation_id=correlation_id,
        message_id=message_id,
        headers=headers,
        app_id="keywright",
    )
