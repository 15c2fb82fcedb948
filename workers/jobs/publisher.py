"""Gives hints to RabbitMQ, and tells which of them it has for sure."""

from collections.abc import Sequence

import pika

from workers.jobs.confirming import BrokerUnavailableError, ConfirmingPublisher, Outgoing
from workers.jobs.hints import Hint, encode_hints, pack
from workers.jobs.queues import declare_queues

__all__ = ["BrokerUnavailableError", "Publisher"]

_PROPERTIES = pika.BasicProperties(delivery_mode=2, content_type="application/json")


class Publisher:
    """Publishes to the work queues; ``publish`` may be called from any one thread."""

    def __init__(self, url: str, *, timeout_seconds: float = 15) -> None:
        self._publisher = ConfirmingPublisher(url, declare_queues, timeout_seconds=timeout_seconds)

    def publish(self, hints: Sequence[Hint]) -> set[int]:
        """Publish ``hints`` and return the job ids of those that the broker did not confirm.

        Raises:
            BrokerUnavailableError: nothing could be published.
        """
        packs = pack(hints)
        unconfirmed = self._publisher.publish(
            [
                Outgoing(
                    exchange="",
                    routing_key=together[0].queue.value,
                    body=encode_hints(together),
                    properties=_PROPERTIES,
                    mandatory=True,
                )
                for together in packs
            ]
        )
        return {hint.job_id for position in unconfirmed for hint in packs[position]}

    def close(self) -> None:
        """Close the connection; the next ``publish`` opens another."""
        self._publisher.close()
