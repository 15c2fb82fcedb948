"""What RabbitMQ says of our queues, for ``keywright status``."""

from dataclasses import dataclass

import pika
import pika.exceptions

from workers.contract import Queue
from workers.jobs.broker import connection_parameters
from workers.jobs.broker_trouble import trouble_in_words
from workers.jobs.publisher import BrokerUnavailableError
from workers.jobs.queues import dead_letter_queue


@dataclass(frozen=True, kw_only=True)
class QueueDepth:
    """Messages on a work queue, and on the queue of what it refused; None: not declared yet."""

    queue: str
    hints: int | None
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
                    queue=queue.value,
                    hints=_depth(connection, queue.value),
                    dead_letters=_depth(connection, dead_letter_queue(queue.value)),
                )
                for queue in Queue
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
