"""From what pika delivers to a message, and from a message to its refusals. Pure."""

import pika

from workers.errors import KeywrightError
from workers.jobs.confirming import Outgoing
from workers.jobs.intake.cloud_event import names_of
from workers.jobs.intake.messages import Origin, refusal_messages
from workers.jobs.intake.reading import UnreadableHeaders
from workers.jobs.intake.refusal import UnreadableRequestError
from workers.jobs.intake.taking import Incoming, address_of


def incoming(properties: pika.BasicProperties, body: bytes) -> Incoming:
    """Return a delivery as a message."""
    return Incoming(
        body=body,
        content_type=_text(properties.content_type),
        headers=properties.headers or {},
        headers_are_readable=not isinstance(properties, UnreadableHeaders),
        user_id=_text(properties.user_id),
        reply_to=_text(properties.reply_to),
        correlation_id=_text(properties.correlation_id),
    )


def _text(value: object) -> str | None:
    # pika leaves what is not in UTF-8 as bytes; as half pairs it is refused where it is looked at.
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return None if value is None else str(value)


def refusals_of(message: Incoming, error: KeywrightError) -> list[Outgoing]:
    """Return what is sent where a message is refused; never its content, nor where it is broken."""
    try:
        address = address_of(message)
    except UnreadableRequestError:
        address = None
    source, event_id = names_of(
        message.body, content_type=message.content_type, headers=message.headers
    )
    origin = Origin(
        broker_user=message.user_id,
        source=source,
        event_id=event_id,
        reply_to=None if address is None else address.reply_to,
        correlation_id=None if address is None else address.correlation_id,
    )
    return refusal_messages(error, origin, "urn:keywright:request")
