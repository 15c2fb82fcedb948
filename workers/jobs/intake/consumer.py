"""Reads the intake queue in a thread of its own: each message is taken in or refused, then settled.

A message is acknowledged after the transaction that holds its job, or after the broker has its
refusal. Whatever is cut off before that comes again, and finds what was done.

The broker counts how often a message came, and puts it aside in the end; with a lost connection it
counts for all that were prefetched. So trouble that is none of the message's costs no connection:
with the database away the message at hand is held and tried again, and no connection begins to read
before database and broker are there.
"""

import threading

import pika
import pika.exceptions
import structlog
from pika.adapters.blocking_connection import BlockingChannel

from workers.contract.envelope import Accepted
from workers.database.pool import Pool, database_clock
from workers.errors import KeywrightError
from workers.jobs.broker import connection_parameters
from workers.jobs.confirming import Outgoing
from workers.jobs.intake.delivery import incoming, refusals_of
from workers.jobs.intake.reading import TolerantConnection
from workers.jobs.intake.refusal import REFUSALS, TROUBLE
from workers.jobs.intake.taking import Incoming, take
from workers.jobs.intake.topology import INTAKE, declare_intake

log = structlog.get_logger(__name__)

_PREFETCH = 50
_LOOK_UP_SECONDS = 0.2
_DATABASE_SECONDS = 2  # meanwhile nobody answers the broker's heartbeats
_SHORTEST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
_MOST_ATTEMPTS = 3


class _StoppedError(Exception):
    """It is to end, with a message unsettled."""


class _PutAsideError(Exception):
    """It cannot be known what to do with a message."""


class IntakeConsumer:
    """Of any number of them, in any number of schedulers, the broker lets one read at a time."""

    def __init__(self, url: str, pool: Pool) -> None:
        self._parameters = connection_parameters(url)
        self._pool = pool
        self._pause = _SHORTEST_PAUSE
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
        while not self._stop.is_set():
            try:
                with self._pool.connection(timeout=_DATABASE_SECONDS) as database:
                    database_clock(database)  # it is there
                with pika.BlockingConnection(
                    self._parameters,
                    _impl_class=TolerantConnection,  # type: ignore[arg-type]  # it is the class
                ) as connection:
                    self._consume(connection)
            except _StoppedError:
                return
            except (pika.exceptions.AMQPError, OSError) as error:
                log.warning("the intake has no connection", error=type(error).__name__)
            except TROUBLE as error:
                log.warning("the intake waits for the database", error=type(error).__name__)
            except Exception:
                log.exception("the intake met something unforeseen and goes on")
            if self._stop.wait(self._pause):
                return
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _consume(self, connection: pika.BlockingConnection) -> None:
        channel = connection.channel()
        declare_intake(channel)
        answers = connection.channel()
        answers.confirm_delivery()
        # Under an alarm the broker takes no refusals, nor this, which is for no queue.
        answers.basic_publish("", f"{INTAKE}.is-open", b"")
        channel.basic_qos(prefetch_count=_PREFETCH)
        log.info("the intake is open")
        self._pause = _SHORTEST_PAUSE
        for method, properties, body in channel.consume(
            INTAKE, inactivity_timeout=_LOOK_UP_SECONDS
        ):
            if method is not None:
                assert properties is not None
                assert body is not None
                message = incoming(properties, body)
                try:
                    self._settle(connection, answers, message)
                except _PutAsideError:
                    channel.basic_reject(method.delivery_tag or 0, requeue=False)
                else:
                    channel.basic_ack(method.delivery_tag or 0)
            if self._stop.is_set():
                channel.cancel()
                return

    def _settle(
        self, connection: pika.BlockingConnection, answers: BlockingChannel, message: Incoming
    ) -> None:
        outcome = self._take(connection, message)
        if isinstance(outcome, Accepted):
            log.info("a request was taken in", job_id=outcome.job_id, created=outcome.created)
            return
        log.warning("a request was refused", user=message.user_id, code=outcome.code)
        for refusal in refusals_of(message, outcome):
            _publish(answers, refusal)

    def _take(
        self, connection: pika.BlockingConnection, message: Incoming
    ) -> Accepted | KeywrightError:
        """Take a message in, however long the database is away; return what comes of it."""
        pause = _SHORTEST_PAUSE
        attempts = 0
        while True:
            try:
                with self._pool.connection(timeout=_DATABASE_SECONDS) as database:
                    return take(database, message)
            except REFUSALS as error:
                return error
            except TROUBLE as error:
                log.warning("the intake waits for the database", error=type(error).__name__)
            except Exception as error:
                attempts += 1
                log.exception("the intake cannot take a request in", user=message.user_id)
                if attempts == _MOST_ATTEMPTS:
                    raise _PutAsideError from error
            self._wait(connection, pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _wait(self, connection: pika.BlockingConnection, seconds: float) -> None:
        while seconds > 0:
            if self._stop.is_set():
                raise _StoppedError
            connection.sleep(min(seconds, _LOOK_UP_SECONDS))  # which answers heartbeats
            seconds -= _LOOK_UP_SECONDS


def _publish(channel: BlockingChannel, message: Outgoing) -> None:
    channel.basic_publish(
        message.exchange,
        message.routing_key,
        message.body,
        properties=message.properties,
        mandatory=message.mandatory,
    )
