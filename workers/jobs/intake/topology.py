"""The exchanges and queues of the intake; who sends requests declares none of them."""

from typing import Any, Protocol

INTAKE = "keywright.intake"
"""Exchange and queue of requests."""

REFUSED = "keywright.refused"
"""Exchange and queue of what was refused, each with its reason."""

DIRECT_REPLIES = "amq.rabbitmq.reply-to"
OWN_REPLIES = "keywright.reply"

_MOST_REFUSED = 100_000


class Declares(Protocol):
    """What a channel does, of whichever of pika's kinds."""

    def exchange_declare(self, exchange: str, *, exchange_type: str, durable: bool) -> Any: ...
    def queue_declare(self, queue: str, *, durable: bool, arguments: dict[str, Any]) -> Any: ...
    def queue_bind(self, queue: str, exchange: str) -> Any: ...


def declare_intake(channel: Declares) -> None:
    """Declare all of it; doing it again changes nothing."""
    channel.exchange_declare(INTAKE, exchange_type="fanout", durable=True)
    channel.exchange_declare(REFUSED, exchange_type="fanout", durable=True)
    channel.queue_declare(f"{INTAKE}.XQ", durable=True, arguments={"x-queue-type": "quorum"})
    channel.queue_declare(
        INTAKE,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            # One scheduler reads at a time; another takes over when it goes.
            "x-single-active-consumer": True,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": f"{INTAKE}.XQ",
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
            # One that kills its consumers again and again is put aside.
            "x-delivery-limit": 20,
        },
    )
    channel.queue_declare(
        REFUSED,
        durable=True,
        # For people to look at: the oldest go where nobody does.
        arguments={"x-queue-type": "quorum", "x-max-length": _MOST_REFUSED},
    )
    channel.queue_bind(INTAKE, INTAKE)
    channel.queue_bind(REFUSED, REFUSED)
