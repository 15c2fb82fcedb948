"""How the work queues are declared on RabbitMQ: the same everywhere, or the broker refuses.

Quorum queues, so that a confirmed hint survives a broker's crash; dead letters are moved at least
once and never expire. Written for RabbitMQ 4.x, and seen to work on 3.10.
"""

from typing import Any, Protocol

from workers.contract import Queue


class _Declares(Protocol):
    def queue_declare(self, queue: str, *, durable: bool, arguments: dict[str, Any]) -> Any: ...


def dead_letter_queue(queue: str) -> str:
    """Return the name of the queue that takes what ``queue`` refuses."""
    return f"{queue}.XQ"


def work_queue_arguments(queue: str) -> dict[str, Any]:
    """Return the arguments of a work queue."""
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": dead_letter_queue(queue),
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        # A message that kills its consumers ends as a dead letter. Hints of healthy jobs are
        # redelivered at deploys only, and the ledger sends a new one if this limit eats them.
        "x-delivery-limit": 20,
    }


def declare_queues(channel: _Declares, queues: tuple[Queue, ...] = tuple(Queue)) -> None:
    """Declare each work queue and its dead-letter queue on ``channel``."""
    for queue in queues:
        channel.queue_declare(
            dead_letter_queue(queue.value), durable=True, arguments={"x-queue-type": "quorum"}
        )
        channel.queue_declare(
            queue.value, durable=True, arguments=work_queue_arguments(queue.value)
        )
