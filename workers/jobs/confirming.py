"""Gives messages to RabbitMQ, many in flight at a time, and tells which of them it has for sure.

pika's blocking connection waits for each confirmation; here a batch is published at once and the
confirmations are collected as they come, which is some thirty times as fast.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pika
import structlog
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel

from workers.errors import TransientError
from workers.jobs.broker import connection_parameters
from workers.jobs.broker_trouble import trouble_in_words

log = structlog.get_logger(__name__)


class BrokerUnavailableError(TransientError):
    """RabbitMQ cannot be reached, or does not take messages at the moment."""

    code = "broker-unavailable"
    title = "The message broker is not available"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message to publish; ``mandatory``: it is lost, and known to be, if no queue takes it."""

    exchange: str
    routing_key: str
    body: bytes
    properties: pika.BasicProperties
    mandatory: bool


class ConfirmingPublisher:
    """One connection with its own thread; ``publish`` may be called from any one other thread.

    ``declare`` declares on the channel of each new connection what is published to. ``returned`` is
    told, on another thread, the properties of each mandatory message that no queue took, which then
    counts as sent. Without it, all of the connection is made anew, declarations included.
    """

    def __init__(
        self,
        url: str,
        declare: Callable[[Channel], None],
        *,
        timeout_seconds: float = 15,
        name: str = "publisher",
        returned: Callable[[pika.BasicProperties], None] | None = None,
    ) -> None:
        self._parameters = connection_parameters(url)
        self._declare = declare
        self._timeout = timeout_seconds
        self._name = name
        self._returned = returned
        self._session: _Session | None = None

    def publish(self, messages: Sequence[Outgoing]) -> set[int]:
        """Publish ``messages`` and return the positions of those that were not confirmed.

        Raises:
            BrokerUnavailableError: nothing could be published.
        """
        session = self._open_session()
        batch = _Batch(messages)
        session.submit(batch)
        if not batch.settled.wait(self._timeout):
            # Neither yes nor no, as under a memory alarm. A late yes only makes a second message.
            self.close()
        return batch.unconfirmed()

    def close(self) -> None:
        """Close the connection; the next ``publish`` opens another."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _open_session(self) -> "_Session":
        if self._session is not None and self._session.usable:
            return self._session
        self.close()
        session = _Session(self._parameters, self._declare, self._name, self._returned)
        if not session.ready.wait(self._timeout) or not session.usable:
            session.close()
            raise BrokerUnavailableError(trouble_in_words(self._parameters, session.trouble))
        self._session = session
        return session


class _Batch:
    """Messages on their way; ``settled`` once each is confirmed or known to be lost."""

    def __init__(self, messages: Sequence[Outgoing]) -> None:
        self.messages = messages
        self.settled = threading.Event()
        self._open = set(range(len(messages)))
        self._failed: set[int] = set()
        if not messages:
            self.settled.set()

    def confirm(self, position: int) -> None:
        self._open.discard(position)
        if not self._open:
            self.settled.set()

    def fail(self, position: int) -> None:
        self._failed.add(position)
        self.confirm(position)

    def unconfirmed(self) -> set[int]:
        return self._failed | self._open


class _Session:
    """A connection from opening to end. Methods with an underscore run on its own thread."""

    def __init__(
        self,
        parameters: pika.URLParameters,
        declare: Callable[[Channel], None],
        name: str,
        returned: Callable[[pika.BasicProperties], None] | None,
    ) -> None:
        self._declare = declare
        self._returned = returned
        self.ready = threading.Event()
        self.usable = False
        self.trouble: BaseException | str | None = None
        self._channel: Channel | None = None
        self._next_tag = 1
        self._in_flight: dict[int, tuple[_Batch, int]] = {}
        self._connection = SelectConnection(
            parameters,
            on_open_callback=self._on_connected,
            on_open_error_callback=self._on_end,
            on_close_callback=self._on_end,
        )
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, batch: _Batch) -> None:
        self._connection.ioloop.add_callback_threadsafe(partial(self._publish, batch))

    def close(self) -> None:
        self.usable = False
        self._connection.ioloop.add_callback_threadsafe(self._close)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        try:
            self._connection.ioloop.start()
        except Exception as error:  # noqa: BLE001  # a thread's end must settle what waits for it
            self._on_end(self._connection, error)
        finally:
            self._connection.ioloop.close()

    def _close(self) -> None:
        if self._connection.is_open:
            self._connection.close()
        else:
            self._connection.ioloop.stop()

    def _on_connected(self, connection: SelectConnection) -> None:
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Channel) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._on_channel_end)
        channel.add_on_return_callback(self._on_return)
        self._declare(channel)
        channel.confirm_delivery(self._on_confirmation, callback=self._on_ready)

    def _on_ready(self, _frame: object) -> None:
        self.usable = True
        self.ready.set()

    def _on_blocked(self, *_: object) -> None:
        log.warning("the broker takes no messages for now: it raised an alarm")
        self.trouble = "it raised a resource alarm"
        self.usable = False
        self._fail_all()

    def _on_unblocked(self, *_: object) -> None:
        log.info("the broker takes messages again")
        self.trouble = None
        self.usable = True

    def _publish(self, batch: _Batch) -> None:
        for position, message in enumerate(batch.messages):
            if not self.usable or self._channel is None:
                batch.fail(position)
                continue
            # pika counts tags in the order of publishing, as the broker does.
            self._in_flight[self._next_tag] = (batch, position)
            self._next_tag += 1
            self._channel.basic_publish(
                message.exchange,
                message.routing_key,
                message.body,
                properties=message.properties,
                mandatory=message.mandatory,
            )

    def _on_confirmation(
        self, frame: "pika.frame.Method[pika.spec.Basic.Ack | pika.spec.Basic.Nack]"
    ) -> None:
        method = frame.method
        if method.multiple:
            tags = [tag for tag in self._in_flight if tag <= method.delivery_tag]
        else:
            tags = [method.delivery_tag]
        confirmed = isinstance(method, pika.spec.Basic.Ack)
        for tag in tags:
            if tag not in self._in_flight:
                continue
            batch, position = self._in_flight.pop(tag)
            if confirmed:
                batch.confirm(position)
            else:
                batch.fail(position)

    def _on_return(
        self, _channel: object, _method: object, properties: pika.BasicProperties, _body: object
    ) -> None:
        if self._returned is not None:
            self._returned(properties)
            return
        # A queue is gone: the broker returns the message and confirms it all the same. Which
        # message it was does not matter: end the session, and the next one declares anew.
        self.trouble = "a queue is missing"
        self.usable = False
        self._fail_all()

    def _on_channel_end(self, _: object, reason: BaseException) -> None:
        self._give_up(reason)
        if self._connection.is_open:
            self._connection.close()

    def _on_end(self, _: object, reason: BaseException) -> None:
        self._give_up(reason)
        self.ready.set()
        # Not at once: pika has yet to close the socket.
        self._connection.ioloop.add_callback_threadsafe(self._connection.ioloop.stop)

    def _give_up(self, reason: BaseException) -> None:
        self.trouble = self.trouble or reason
        self.usable = False
        self._fail_all()

    def _fail_all(self) -> None:
        in_flight, self._in_flight = self._in_flight, {}
        for batch, position in in_flight.values():
            batch.fail(position)
