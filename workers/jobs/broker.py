"""dramatiq's RabbitMQ broker, made safe for hints.

Differences to the stock broker: quorum queues; no delay queues (the ledger delays); a consumer that
lets nothing but well-formed hints through and dead-letters the rest with the reason; and
acknowledgements that belong to the connection which delivered the message.
"""

from typing import Any

import dramatiq
import pika
import structlog
from dramatiq.broker import MessageProxy
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer, _RabbitmqMessage
from dramatiq.errors import ConnectionClosed

from workers.jobs.hints import InvalidHintError, decode_hint
from workers.jobs.queues import dead_letter_queue, work_queue_arguments

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 60
BLOCKED_SECONDS = 30

REASON_HEADER = "x-keywright-reason"


def connection_parameters(url: str) -> pika.URLParameters:
    """Read a broker URL, with a heartbeat and a finite patience for a blocked broker."""
    parameters = pika.URLParameters(url)
    parameters.heartbeat = HEARTBEAT_SECONDS
    parameters.blocked_connection_timeout = BLOCKED_SECONDS
    return parameters


class LedgerRabbitmqBroker(RabbitmqBroker):
    """Consumes hints from quorum queues.

    Overrides private hooks of dramatiq 2.2; the dependency is pinned to that series.
    """

    def __init__(self, url: str, *, middleware: list[dramatiq.Middleware]) -> None:
        super().__init__(confirm_delivery=True, middleware=middleware)
        self.parameters = [connection_parameters(url)]

    @property
    def consumer_class(self) -> type["HintConsumer"]:
        """The consumer that checks what it delivers."""
        return HintConsumer

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Declare a work queue and its dead-letter queue, and no delay queue."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.queues_pending.add(queue_name)
            self.emit_after("declare_queue", queue_name)
        if ensure:
            self._ensure_queue(queue_name)  # type: ignore[no-untyped-call]

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        return work_queue_arguments(queue_name)

    def _declare_dq_queue(self, queue_name: str) -> None:
        pass

    def _declare_xq_queue(self, queue_name: str) -> Any:
        return self.channel.queue_declare(
            queue=dead_letter_queue(queue_name),
            durable=True,
            arguments={"x-queue-type": "quorum"},
        )


class HintConsumer(_RabbitmqConsumer):
    """Delivers hints only."""

    def __next__(self) -> _RabbitmqMessage | None:
        try:
            method, _properties, body = next(self.iterator)
            if method is None:
                return None
            try:
                hint = decode_hint(body, self.queue_name)
            except InvalidHintError as error:
                self._dead_letter(method.delivery_tag, body, str(error))
                return None
        except (
            AssertionError,
            pika.exceptions.AMQPConnectionError,
            pika.exceptions.AMQPChannelError,
        ) as error:
            # Deleted while we consumed: have it declared again at the restart.
            self.broker.queues_pending.add(self.queue_name)
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        message = _RabbitmqMessage(  # type: ignore[no-untyped-call]
            method.redelivered, method.delivery_tag, hint.to_message()
        )
        # Delivery tags start at 1 on every connection: after a reconnect, a tag of the old one
        # must not acknowledge a message of the new one.
        message.options["consumer"] = id(self)
        self.known_tags.add(method.delivery_tag)
        return message

    def ack(self, message: MessageProxy) -> None:
        """Acknowledge ``message`` if this consumer delivered it."""
        if message.options.get("consumer") == id(self):
            super().ack(message)  # type: ignore[no-untyped-call]

    def nack(self, message: MessageProxy) -> None:
        """Dead-letter ``message`` if this consumer delivered it."""
        if message.options.get("consumer") == id(self):
            super().nack(message)  # type: ignore[no-untyped-call]

    def _dead_letter(self, delivery_tag: int, body: bytes, reason: str) -> None:
        """Move a foreign message to the dead letters, saying why; confirmed, then taken off."""
        log.warning("a message was dead-lettered", queue=self.queue_name, reason=reason)
        channel = self.connection.channel()
        channel.confirm_delivery()
        channel.basic_publish(
            exchange="",
            routing_key=dead_letter_queue(self.queue_name),
            body=body,
            properties=pika.BasicProperties(
                delivery_mode=2,
                headers={REASON_HEADER: reason, "x-keywright-queue": self.queue_name},
            ),
            mandatory=True,
        )
        channel.close()
        self.channel.basic_ack(delivery_tag)
