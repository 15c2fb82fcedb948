"""Announcements put straight into a database, and queues that hear them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pika
import psycopg

from tests.servers.waiting import until
from workers.announcements.settling import Settler
from workers.announcements.store import announce
from workers.contract.announcements import MasterKeyCreated
from workers.database.pool import Connection
from workers.organizations.store import add_organization


def organization(connection: Connection, name: str) -> int:
    """Add an organization."""
    return add_organization(
        connection, name=name, time_zone="UTC", sending_hour=8, is_sandbox=False
    )


def tell(connection: Connection, organization_id: int, subject: str, number: int = 1) -> None:
    """Announce something that has a number."""
    announce(
        connection,
        MasterKeyCreated(number=number),
        organization_id=organization_id,
        subject=subject,
    )


def settle(connection: Connection) -> None:
    """Move the mark over all there is."""
    Settler().settle_patiently(connection)


def unrelayed_count(connection: Connection) -> int:
    """Return how many announcements no broker has."""
    row = connection.execute(
        "SELECT count(*) FROM keywright.announcement WHERE relayed_at IS NULL"
    ).fetchone()
    assert row is not None
    return int(row[0])


@dataclass
class Listener:
    """A consumer's queue, bound to announcements, and what it has heard so far."""

    url: str
    queue: str
    heard: list[dict[str, Any]] = field(default_factory=list)
    properties: list[pika.BasicProperties] = field(default_factory=list)

    def listen(self) -> None:
        """Take what is in the queue now."""
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            channel = connection.channel()
            while True:
                method, properties, body = channel.basic_get(self.queue, auto_ack=True)
                if method is None or properties is None or body is None:
                    return
                self.heard.append(json.loads(body))
                self.properties.append(properties)

    def await_(self, count: int, *, seconds: float = 30) -> None:
        """Listen until so many different announcements were heard."""

        def enough() -> bool:
            self.listen()
            return len(self.first_heard()) >= count

        until(enough, f"{count} announcements on {self.queue}", seconds=seconds)

    def first_heard(self) -> list[dict[str, Any]]:
        """Return what was heard without what was heard before: by id, as consumers do."""
        found: dict[str, dict[str, Any]] = {}
        for each in self.heard:
            found.setdefault(each["id"], each)
        return list(found.values())

    def numbers(self) -> dict[str, list[int]]:
        """Return the numbers by subject, in the order in which they were first heard."""
        found: dict[str, list[int]] = {}
        for each in self.first_heard():
            found.setdefault(each["subject"], []).append(each["data"]["number"])
        return found


def listener(
    url: str, key: str = "#", queue: str = "consumer", arguments: dict[str, Any] | None = None
) -> Listener:
    """Declare the exchange, and a queue that hears what ``key`` matches."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.exchange_declare("keywright.events", "topic", durable=True)
        channel.queue_declare(
            queue, durable=True, arguments=arguments or {"x-queue-type": "quorum"}
        )
        channel.queue_bind(queue, "keywright.events", key)
    return Listener(url, queue)


@contextmanager
def writing(conninfo: str) -> Iterator[Connection]:
    """A connection with a transaction that is open until the block ends."""
    with psycopg.connect(conninfo) as connection:
        yield connection


def drained(step: Callable[[], int], connection: Connection) -> bool:
    """Do one step of a relay; return whether all is relayed."""
    settle(connection)
    step()
    return unrelayed_count(connection) == 0
