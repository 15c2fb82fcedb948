"""Announcements once more, to one queue: for a consumer that was away too long."""

from collections.abc import Sequence

import pika
import pika.exceptions

from workers.announcements.messages import message
from workers.announcements.reading import (
    Announced,
    announced_after,
    installation_id,
    settled_until,
)
from workers.announcements.waves import Outcome, publish_in_order
from workers.database.pool import Connection
from workers.errors import InvalidRequestError, NotFoundError, TransientError
from workers.jobs.broker import connection_parameters
from workers.jobs.broker_trouble import trouble_in_words
from workers.jobs.confirming import BrokerUnavailableError, ConfirmingPublisher

QUEUE_PREFIX = "keywright.events."
_AT_A_TIME = 500


class ReplayStoppedError(TransientError):
    """The broker did not take some of what was to be repeated."""

    code = "replay-stopped"
    title = "Not everything was repeated"


def replay(
    connection: Connection,
    broker_url: str,
    *,
    queue: str,
    after: int,
    kind: str | None = None,
    organization: str | None = None,
) -> tuple[int, int]:
    """Publish what was announced after number ``after`` to ``queue`` alone, in order.

    Return how many that were, and the number up to which everything was looked at. The messages are
    those that everybody got: the same ids, in the same order for each subject.

    Raises:
        InvalidRequestError: the queue's name is not one for catching up.
        NotFoundError: there is no such queue, or no such organization.
        TransientError: the broker is away, or did not take all; the text says where to go on.
    """
    if not queue.startswith(QUEUE_PREFIX) or queue == QUEUE_PREFIX:
        raise InvalidRequestError(
            f"queue: must begin with {QUEUE_PREFIX} and go on with a name, so that nothing else is"
            " written to by mistake."
        )
    _check_is_there(broker_url, queue)
    last, count, source = settled_until(connection), 0, installation_id(connection)
    publisher = ConfirmingPublisher(broker_url, lambda _: None, name="replay")

    def publish(wave: Sequence[Announced]) -> set[int]:
        return publisher.publish([message(each, source, only_to_queue=queue) for each in wave])

    try:
        while True:
            found = announced_after(
                connection, after, limit=_AT_A_TIME, kind=kind, organization=organization
            )
            outcome = Outcome()
            publish_in_order(found, publish, outcome)
            if outcome.held_back:
                raise ReplayStoppedError(
                    "The broker did not take all; go on with --after"
                    f" {after}: what comes twice has the same id."
                )
            count += len(found)
            if len(found) < _AT_A_TIME:
                return count, max(last, found[-1].sequence if found else 0)
            after = found[-1].sequence
    finally:
        publisher.close()


def _check_is_there(broker_url: str, queue: str) -> None:
    parameters = connection_parameters(broker_url)
    try:
        with pika.BlockingConnection(parameters) as connection:
            connection.channel().queue_declare(queue, passive=True)
    except pika.exceptions.ChannelClosedByBroker:
        raise NotFoundError(
            f"There is no queue {queue}, or none that this user may see; have its consumer declare"
            " it, then ask again."
        ) from None
    except (pika.exceptions.AMQPError, OSError) as error:
        raise BrokerUnavailableError(trouble_in_words(parameters, error)) from error
