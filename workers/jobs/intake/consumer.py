"""Reads the intake queue in a thread of its own: each message is taken in or refused, then settled.

A message is acknowledged after the transaction that holds its job, or after the broker has its
refusal. Whatever is cut off before that comes again, and finds what was done.
"""

import threading

import pika
import pika.exceptions
import structlog
from pika.adapters.blocking_connection import BlockingChannel
from pika.spec import Basic

from workers.contract.envelope import Accepted
from workers.database.pool import Pool
from workers.errors import KeywrightError
from workers.jobs.broker import connection_parameters
from workers.jobs.confirming import Outgoing
from workers.jobs.intake.messages import Origin, refusal_messages
from workers.jobs.intake.refusal import REFUSALS, TROUBLE, UnreadableRequestError
from workers.jobs.intake.taking import Incoming, address_of, take
from workers.jobs.intake.topology import INTAKE, declare_intake

log = structlog.get_logger(__name__)

_PREFETCH = 50
_LOOK_UP_SECONDS = 0.2
_SHORTEST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0


class IntakeConsumer:
    """Of any number of them, in any number of schedulers, the broker lets one read at a time."""

    def __init__(self, url: str, pool: Pool) -> None:
        self._parameters = connection_parameters(url)
        self._pool = pool
        self._prefetch = _PREFETCH
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the message at hand and end."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        pause = _SHORTEST_PAUSE
        while not self._stop.is_set():
            try:
                with pika.BlockingConnection(self._parameters) as connection:
                    pause = _SHORTEST_PAUSE
                    self._consume(connection)
            except (pika.exceptions.AMQPError, OSError) as error:
                log.warning("the intake has no connection", error=type(error).__name__)
            except TROUBLE:
                continue  # we were told to stop meanwhile
            except Exception:
                log.exception("the intake met something unforeseen and goes on")
            else:
                continue
            # A message that breaks connections, such as one with headers that pika cannot read, is
            # put aside by the broker after some tries. Until then it comes alone: those that were
            # delivered with it would be taken for the culprit, too.
            self._prefetch = 1
            if self._stop.wait(pause):
                return
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _consume(self, connection: pika.BlockingConnection) -> None:
        channel = connection.channel()
        declare_intake(channel)
        channel.basic_qos(prefetch_count=self._prefetch)
        settled = 0
        answers = connection.channel()
        answers.confirm_delivery()
        log.info("the intake is open")
        for method, properties, body in channel.consume(
            INTAKE, inactivity_timeout=_LOOK_UP_SECONDS
        ):
            if method is not None:
                assert properties is not None
                assert body is not None
                message = _incoming(properties, body)
                self._settle(connection, channel, answers, method, message)
                settled += 1
            if self._prefetch < _PREFETCH and settled >= _PREFETCH:
                self._prefetch = _PREFETCH
                channel.cancel()
                return
            if self._stop.is_set():
                channel.cancel()
                return

    def _settle(
        self,
        connection: pika.BlockingConnection,
        channel: BlockingChannel,
        answers: BlockingChannel,
        method: Basic.Deliver,
        message: Incoming,
    ) -> None:
        try:
            accepted = self._take(connection, message)
        except REFUSALS as error:
            self._refuse(answers, message, error)
        else:
            log.info("a request was taken in", job_id=accepted.job_id, created=accepted.created)
        channel.basic_ack(method.delivery_tag or 0)

    def _take(self, connection: pika.BlockingConnection, message: Incoming) -> Accepted:
        """Take a message in, waiting out trouble of ours: giving it back would count against it."""
        pause = _SHORTEST_PAUSE
        while True:
            try:
                with self._pool.connection() as database:
                    return take(database, message)
            except TROUBLE as error:
                log.warning("the intake waits for the database", error=type(error).__name__)
                if self._stop.is_set():
                    raise
            connection.sleep(pause)  # and the broker hears that we are there
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _refuse(self, answers: BlockingChannel, message: Incoming, error: KeywrightError) -> None:
        try:
            address = address_of(message)
        except UnreadableRequestError:
            address = None
        log.warning("a request was refused", user=message.user_id, code=error.code)
        origin = Origin(
            broker_user=message.user_id,
            message_id=_named(message),
            reply_to=None if address is None else address.reply_to,
            correlation_id=None if address is None else address.correlation_id,
        )
        for outgoing in refusal_messages(error, origin, "urn:keywright:request"):
            _publish(answers, outgoing)


def _publish(channel: BlockingChannel, message: Outgoing) -> None:
    channel.basic_publish(
        message.exchange,
        message.routing_key,
        message.body,
        properties=message.properties,
        mandatory=message.mandatory,
    )


def _incoming(properties: pika.BasicProperties, body: bytes) -> Incoming:
    return Incoming(
        body=body,
        content_type=properties.content_type,
        headers=properties.headers or {},
        user_id=properties.user_id,
        reply_to=properties.reply_to,
        correlation_id=properties.correlation_id,
    )


def _named(message: Incoming) -> str | None:
    """Return the id that the message says it has, if that is fit to be repeated."""
    for prefix in ("ce-id", "cloudEvents:id", "cloudEvents_id"):
        value = message.headers.get(prefix)
        if isinstance(value, str) and value.isascii() and value.isprintable():
            return value
    return None
