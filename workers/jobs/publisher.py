"""Gives hints to RabbitMQ, many in flight at a time, and tells which of them it has for sure.

pika's blocking connection waits for each confirmation; here a batch is published at once and the
confirmations are collected as they come, which is some thirty times as fast.
"""

import threading
from collections.abc import Sequence
from functools import partial

import pika
import structlog
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel

from workers.errors import TransientError
from workers.jobs.broker import connection_parameters
from workers.jobs.hints import Hint, encode_hints, pack
from workers.jobs.queues import declare_queues

log = structlog.get_logger(__name__)

_PROPERTIES = pika.BasicProperties(delivery_mode=2, content_type="application/json")


class BrokerUnavailableError(TransientError):
    """RabbitMQ cannot be reached, or does not take messages at the moment."""

    code = "broker-unavailable"
    title = "The message broker is not available"


class Publisher:
    """One connection with its own thread; ``publish`` may be called from any one other thread."""

    def __init__(self, url: str, *, timeout_seconds: float = 15) -> None:
        self._parameters = connection_parameters(url)
        self._timeout = timeout_seconds
        self._session: _Session | None = None

    def publish(self, hints: Sequence[Hint]) -> set[int]:
        """Publish ``hints`` and return the job ids of those that the broker did not confirm.

        Raises:
            BrokerUnavailableError: nothing could be published.
        """
        session = self._open_session()
        batch = _Batch(hints)
        session.submit(batch)
        if not batch.settled.wait(self._timeout):
            # Neither yes nor no, as under a memory alarm. A late yes only makes a second hint.
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
        session = _Session(self._parameters)
        if not session.ready.wait(self._timeout) or not session.usable:
            session.close()
            raise BrokerUnavailableError(
                f"No connection to the message broker at {self._parameters.host}:"
                f"{self._parameters.port} ({session.trouble or 'it does not answer'});"
                " check KEYWRIGHT_BROKER_URL."
            )
        self._session = session
        return session


class _Batch:
    """Hints on their way; ``settled`` once each is confirmed or known to be lost."""

    def __init__(self, hints: Sequence[Hint]) -> None:
        self.hints = hints
        self.settled = threading.Event()
        self._open = {hint.job_id for hint in hints}
        self._failed: set[int] = set()
        if not hints:
            self.settled.set()

    def confirm(self, hints: Sequence[Hint]) -> None:
        self._open.difference_update(hint.job_id for hint in hints)
        self._check()

    def fail(self, hints: Sequence[Hint]) -> None:
        self._failed.update(hint.job_id for hint in hints)
        self.confirm(hints)

    def unconfirmed(self) -> set[int]:
        return self._failed | self._open

    def _check(self) -> None:
        if not self._open:
            self.settled.set()


class _Session:
    """A connection from opening to end. Methods with an underscore run on its own thread."""

    def __init__(self, parameters: pika.URLParameters) -> None:
        self.ready = threading.Event()
        self.usable = False
        self.trouble: str | None = None
        self._channel: Channel | None = None
        self._next_tag = 1
        self._in_flight: dict[int, tuple[_Batch, list[Hint]]] = {}
        self._connection = SelectConnection(
            parameters,
            on_open_callback=self._on_connected,
            on_open_error_callback=self._on_end,
            on_close_callback=self._on_end,
        )
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
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
        declare_queues(channel)
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
        for hints in pack(batch.hints):
            if not self.usable or self._channel is None:
                batch.fail(hints)
                continue
            # pika counts tags in the order of publishing, as the broker does.
            self._in_flight[self._next_tag] = (batch, hints)
            self._next_tag += 1
            self._channel.basic_publish(
                "",
                hints[0].queue.value,
                encode_hints(hints),
                properties=_PROPERTIES,
                mandatory=True,
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
            batch, hints = self._in_flight.pop(tag)
            if confirmed:
                batch.confirm(hints)
            else:
                batch.fail(hints)

    def _on_return(self, *_: object) -> None:
        # A queue is gone: the broker returns the message and confirms it all the same. Which hint
        # it was does not matter: end the session, and the next one declares the queues again.
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
        self.trouble = self.trouble or type(reason).__name__
        self.usable = False
        self._fail_all()

    def _fail_all(self) -> None:
        in_flight, self._in_flight = self._in_flight, {}
        for batch, hints in in_flight.values():
            batch.fail(hints)
