"""Another system at RabbitMQ: it asks, waits for answers, and sees nothing else."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel

from tests.servers.waiting import until
from workers.database.pool import Connection
from workers.jobs.intake.topology import DIRECT_REPLIES, INTAKE, REFUSED


@dataclass
class Sender:
    """``url`` is the requester's own, ``admin_url`` that of whoever may look into every queue."""

    url: str
    admin_url: str
    user: str
    owner: Connection
    answers: list[tuple[pika.BasicProperties, Any]] = field(default_factory=list)

    @contextmanager
    def channel(self) -> Iterator[BlockingChannel]:
        """Yield a channel with confirms that collects direct replies in ``answers``."""
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        try:
            channel = connection.channel()
            channel.basic_consume(DIRECT_REPLIES, self._collect, auto_ack=True)
            channel.confirm_delivery()
            yield channel
        finally:
            with suppress(pika.exceptions.AMQPError):
                connection.close()

    def _collect(
        self, _channel: Any, _method: Any, properties: pika.BasicProperties, body: bytes
    ) -> None:
        self.answers.append((properties, json.loads(body)))

    def send(
        self, channel: BlockingChannel, body: bytes | str | dict[str, Any], **also: Any
    ) -> None:
        """Publish to the intake, with the usual properties unless others are given."""
        if isinstance(body, dict):
            body = json.dumps(body)
        properties = {
            "content_type": "application/cloudevents+json",
            "user_id": self.user,
            "delivery_mode": 2,
            **also,
        }
        channel.basic_publish(
            INTAKE,
            "",
            body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body,
            properties=pika.BasicProperties(**properties),
            mandatory=True,
        )

    def event(self, **also: Any) -> dict[str, Any]:
        """Return a request for a ping in Acme, with other attributes where they are given."""
        return {
            "specversion": "1.0",
            "id": "1",
            "source": "urn:crm",
            "type": "keywright.system.ping.v1",
            "organization": "Acme",
            "data": {},
            **also,
        }

    def jobs(self) -> list[tuple[Any, ...]]:
        """Return number, kind, requester and door of all jobs."""
        return self.owner.execute(
            "SELECT job_id, kind, requested_by, door FROM keywright.job ORDER BY job_id"
        ).fetchall()

    def await_jobs(self, count: int) -> None:
        """Wait until there are so many jobs."""
        until(lambda: len(self.jobs()) >= count, f"{count} jobs")

    def refusals(self, expected: int, *, seconds: float = 60) -> list[dict[str, Any]]:
        """Take so many refusals from their queue."""
        found: list[dict[str, Any]] = []
        connection = pika.BlockingConnection(pika.URLParameters(self.admin_url))
        try:
            channel = connection.channel()
            for method, _, body in channel.consume(REFUSED, inactivity_timeout=seconds):
                assert method is not None, f"{len(found)} of {expected} refusals within {seconds} s"
                assert body is not None
                found.append(json.loads(body))
                channel.basic_ack(method.delivery_tag or 0)
                if len(found) == expected:
                    channel.cancel()
                    return found
        finally:
            connection.close()
        return found
