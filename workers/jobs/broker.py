"""dramatiq's RabbitMQ broker, made safe for hints.

Differences to the stock broker: quorum queues; no delay queues (the ledger delays); a consumer that
lets nothing but well-formed hints through and dead-letters the rest with the reason; and
acknowledgements that belong to the connection which delivered the message.
"""

import ssl
import threading
from collections import deque
from typing import Any

import dramatiq
import pika
import structlog
from dramatiq import Message
from dramatiq.broker import MessageProxy
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer
from dramatiq.errors import ConnectionClosed

from workers.errors import InvalidRequestError
from workers.jobs.broker_trouble import trouble_in_words
from workers.jobs.broker_url import VARIABLE, BrokerUrl
from workers.jobs.hints import InvalidHintError, decode_hints
from workers.jobs.queues import dead_letter_queue, work_queue_arguments

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 60
BLOCKED_SECONDS = 30

REASON_HEADER = "x-keywright-reason"

_ACCESS_REFUSED = 403
_NOT_FOUND = 404


def connection_parameters(url: str) -> pika.URLParameters:
    """Read a broker URL, with a heartbeat and a finite patience for a blocked broker.

    Raises:
        InvalidRequestError: it is malformed, or would send the password in the clear.
    """
    broker = BrokerUrl.from_url(url)
    try:
        parameters = pika.URLParameters(broker.address)
    except (ValueError, TypeError):
        # Its text would repeat the value.
        raise InvalidRequestError(
            f"{VARIABLE}: a part is not understood; the parameters after the question mark must be"
            " those of pika or of ours."
        ) from None
    context = broker.tls_context()
    if context is not None:
        # The name is given explicitly: it is what the certificate must be for.
        parameters.ssl_options = pika.SSLOptions(context, server_hostname=broker.host)
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

    @property
    def connection(self) -> pika.BlockingConnection:
        """This thread's connection; a certificate that is not accepted is told in a sentence."""
        try:
            connection: pika.BlockingConnection = super().connection
        except ssl.SSLError as error:
            # What dramatiq takes for a broker that is away: it is logged and tried again.
            raise pika.exceptions.AMQPConnectionError(
                trouble_in_words(self.parameters[0], error)
            ) from error
        return connection

    @connection.deleter
    def connection(self) -> None:
        RabbitmqBroker.connection.fdel(self)  # type: ignore[attr-defined]

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Declare a work queue and its dead-letter queue, and no delay queue."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.queues_pending.add(queue_name)
            self.emit_after("declare_queue", queue_name)
        if ensure:
            self._ensure_queue(queue_name)

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        return work_queue_arguments(queue_name)

    def _ensure_queue(self, queue_name: str) -> None:
        try:
            super()._ensure_queue(queue_name)  # type: ignore[no-untyped-call]
        except ConnectionClosed as error:
            if getattr(error.message, "reply_code", None) != _ACCESS_REFUSED:
                raise
            raise ConnectionClosed(  # type: ignore[no-untyped-call]
                f"the queue {queue_name} is not there yet, and RabbitMQ does not let this user"
                " declare it; a scheduler does so as soon as it runs"
            ) from None

    def _declare_queue(self, queue_name: str) -> Any:
        return self._look_for(queue_name) or super()._declare_queue(queue_name)  # type: ignore[no-untyped-call]

    def _declare_dq_queue(self, queue_name: str) -> None:
        pass

    def _declare_xq_queue(self, queue_name: str) -> Any:
        name = dead_letter_queue(queue_name)
        return self._look_for(name) or self.channel.queue_declare(
            queue=name, durable=True, arguments={"x-queue-type": "quorum"}
        )

    def _look_for(self, name: str) -> Any:
        """Return what the broker says of a queue, or None if it is not there.

        To ask needs no permission; to declare does, which a worker beside a scheduler can do
        without.
        """
        channel = self.connection.channel()
        try:
            found = channel.queue_declare(queue=name, passive=True)
        except pika.exceptions.ChannelClosedByBroker as error:
            if error.reply_code != _NOT_FOUND:
                raise
            return None
        channel.close()
        return found


class HintMessage(MessageProxy):
    """A hint, and the delivery that it came with."""

    def __init__(self, message: Message[None], delivery: "_Delivery") -> None:
        super().__init__(message)
        self.delivery = delivery


class _Delivery:
    """A message as it came: acknowledged once all its hints are followed, by who delivered it."""

    def __init__(self, consumer: "HintConsumer", tag: int, hints: int) -> None:
        self.consumer = consumer
        self.tag = tag
        self._open = hints
        self._lock = threading.Lock()

    def settle_one(self) -> bool:
        """Count one hint as followed; True if it was the last."""
        with self._lock:
            self._open -= 1
            return self._open == 0


class HintConsumer(_RabbitmqConsumer):
    """Delivers hints only."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)  # type: ignore[no-untyped-call]
        self._settled: deque[int] = deque()
        self._unpacked: deque[HintMessage] = deque()

    def __next__(self) -> "HintMessage | None":
        if self._unpacked:
            return self._unpacked.popleft()
        try:
            method, _properties, body = next(self.iterator)
            if method is None:
                return None
            try:
                hints = decode_hints(body, self.queue_name)
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
        delivery = _Delivery(self, method.delivery_tag, len(hints))
        self._unpacked.extend(HintMessage(hint.to_message(), delivery) for hint in hints)
        return self._unpacked.popleft()

    def ack(self, message: MessageProxy) -> None:
        """Acknowledge the delivery of ``message`` soon, if this consumer made it.

        Delivery tags start at 1 on every connection: after a reconnect, a tag of the old one must
        not acknowledge a message of the new one.
        """
        if not isinstance(message, HintMessage) or message.delivery.consumer is not self:
            return
        if not message.delivery.settle_one():
            return
        self._settled.append(message.delivery.tag)
        if len(self._settled) > 1:
            return  # whoever was first has rung the bell, and all are acknowledged in one go
        try:
            self.connection.add_callback_threadsafe(self._acknowledge_settled)
        except pika.exceptions.AMQPError as error:
            log.info("a hint was not acknowledged and comes again", error=type(error).__name__)

    # An actor never fails (see execution): what it could not do stands in the ledger.
    nack = ack

    def _acknowledge_settled(self) -> None:
        # Until it is empty: who adds to a queue that is not empty rings no bell.
        while self._settled:
            self.channel.basic_ack(self._settled.popleft())

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
