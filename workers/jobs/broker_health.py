"""What RabbitMQ says of our queues, for ``keywright status``."""

from dataclasses import dataclass

import pika
import pika.exceptions

from workers.contract import Queue
from workers.jobs.broker import connection_parameters
from workers.jobs.broker_trouble import trouble_in_words
from workers.jobs.intake.topology import INTAKE
from workers.jobs.publisher import BrokerUnavailableError
from workers.jobs.queues import dead_letter_queue


@dataclass(frozen=True, kw_only=True)
class QueueDepth:
    """Messages on a queue, and on that of what was put aside there; None: not declared yet.

    On a work queue they are hints, on the intake requests.
    """

    queue: str
    waiting: int | None
    dead_letters: int | None


def queue_depths(url: str) -> list[QueueDepth]:
    """Ask the broker how much is on each queue.

    Raises:
        BrokerUnavailableError: it cannot be reached.
    """
    parameters = connection_parameters(url)
    parameters.socket_timeout = parameters.stack_timeout = 5
    try:
        with pika.BlockingConnection(parameters) as connection:
            return [
                QueueDepth(
                    queue=queue,
                    waiting=_depth(connection, queue),
                    dead_letters=_depth(connection, dead_letter_queue(queue)),
                )
                for queue in (*Queue, INTAKE)
            ]
    except (pika.exceptions.AMQPError, OSError) as error:
        raise BrokerUnavailableError(trouble_in_words(parameters, error)) from error


def _depth(connection: pika.BlockingConnection, queue: str) -> int | None:
    channel = connection.channel()
    try:
        count: int = channel.queue_declare(queue, passive=True).method.message_count
    except pika.exceptions.ChannelClosedByBroker:
        return None  # and the channel with it
    channel.close()
    return count
