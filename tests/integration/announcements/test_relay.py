"""The relay over a real broker: in order, at least once, whatever breaks."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.integration.announcements.town_crier import (
    drained,
    listener,
    organization,
    settle,
    tell,
    unrelayed_count,
)
from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.tcp_proxy import TcpProxy
from tests.servers.waiting import until
from workers.announcements.relay import AnnouncementRelay
from workers.database.pool import Connection
from workers.errors import TransientError


@pytest.fixture
def relay(conninfo: str, broker_url: str) -> Iterator[AnnouncementRelay]:
    """A relay between the test's database and broker."""
    relay = AnnouncementRelay(conninfo, broker_url)
    yield relay
    relay.close()


@pytest.fixture
def proxy(rabbitmq_node: RabbitmqNode) -> Iterator[TcpProxy]:
    """Something between a relay and the broker that can be cut."""
    with TcpProxy(rabbitmq_node.port) as proxy:
        yield proxy


def relay_all(relay: AnnouncementRelay, connection: Connection) -> None:
    """Do steps until the broker has all, as a loop does."""

    def done() -> bool:
        with suppress(TransientError, psycopg.OperationalError):
            return drained(relay.step, connection)
        return False

    until(done, "all announcements to be relayed", seconds=60)


def is_refused(relay: AnnouncementRelay) -> bool:
    """Do a step; return whether it failed because the broker is away."""
    try:
        relay.step()
    except TransientError:
        return True
    return False


def test_what_was_announced_reaches_who_listens_and_is_noted(
    relay: AnnouncementRelay, connection: Connection, broker_url: str, acme: int
) -> None:
    ears = listener(broker_url, key=f"{acme}.master_key.*")
    tell(connection, acme, "master-key/1/2", number=2)
    settle(connection)
    assert relay.step() == 1
    ears.await_(1)
    [event] = ears.heard
    [row] = connection.execute(
        "SELECT event_id::text, relayed_at IS NOT NULL, installation_id::text"
        " FROM keywright.announcement, keywright.installation"
    ).fetchall()
    assert row[1]
    assert (event["id"], event["source"]) == (row[0], f"urn:keywright:{row[2]}")
    assert (event["type"], event["subject"], event["organization"], event["data"]) == (
        "keywright.master_key.created.v1",
        "master-key/1/2",
        "Acme",
        {"number": 2},
    )
    assert ears.properties[0].message_id == event["id"]
    assert relay.step() == 0


def test_nobody_need_listen(relay: AnnouncementRelay, connection: Connection, acme: int) -> None:
    tell(connection, acme, "a")
    settle(connection)
    assert relay.step() == 1
    assert unrelayed_count(connection) == 0


def test_what_is_not_settled_waits(
    relay: AnnouncementRelay, connection: Connection, acme: int
) -> None:
    tell(connection, acme, "a")
    assert relay.step() == 0
    settle(connection)
    assert relay.step() == 1


def test_each_subject_is_in_order_under_concurrent_writers(
    relay: AnnouncementRelay, connection: Connection, conninfo: str, broker_url: str, acme: int
) -> None:
    ears = listener(broker_url)

    def write(subject: str) -> None:
        with psycopg.connect(conninfo, autocommit=True) as own:
            for number in range(1, 31):
                tell(own, acme, subject, number)

    with ThreadPoolExecutor(6) as threads:
        written = [threads.submit(write, f"s{number}") for number in range(6)]
        until(
            lambda: (drained(relay.step, connection), all(each.done() for each in written))[1],
            "all to be written",
        )
        for each in written:
            each.result()
    relay_all(relay, connection)
    ears.await_(180)
    assert ears.numbers() == {f"s{number}": list(range(1, 31)) for number in range(6)}


def test_only_one_relay_works_and_the_other_takes_over(
    relay: AnnouncementRelay, connection: Connection, conninfo: str, broker_url: str, acme: int
) -> None:
    ears, other = listener(broker_url), AnnouncementRelay(conninfo, broker_url)
    tell(connection, acme, "a", 1)
    settle(connection)
    assert (relay.step(), other.step()) == (1, 0)
    tell(connection, acme, "a", 2)
    settle(connection)
    assert other.step() == 0
    relay.close()
    until(lambda: other.step() == 1, "the other to take over")
    other.close()
    ears.await_(2)
    assert [each["data"]["number"] for each in ears.heard] == [1, 2]


def test_a_relay_whose_connection_was_cut_goes_on(
    relay: AnnouncementRelay, connection: Connection, broker_url: str, acme: int
) -> None:
    ears = listener(broker_url)
    tell(connection, acme, "a", 1)
    settle(connection)
    relay.step()
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'keywright announcement relay'"
        " AND datname = current_database()"
    )
    tell(connection, acme, "a", 2)
    relay_all(relay, connection)
    ears.await_(2)
    assert ears.numbers() == {"a": [1, 2]}


def test_a_broker_that_restarts_between_and_during_loses_and_reorders_nothing(
    relay: AnnouncementRelay,
    connection: Connection,
    rabbitmq_node: RabbitmqNode,
    broker_url: str,
    acme: int,
) -> None:
    ears = listener(broker_url)
    for number in range(1, 41):
        tell(connection, acme, f"s{number % 4}", number)
        if number in (10, 30):
            relay_all(relay, connection)
        if number == 20:
            rabbitmq_node.kill()
            settle(connection)
            until(lambda: is_refused(relay), "the relay to see that the broker is away")
            rabbitmq_node.start()
    relay_all(relay, connection)
    ears.await_(40)
    assert ears.numbers() == {
        f"s{rest}": [number for number in range(1, 41) if number % 4 == rest] for rest in range(4)
    }


def test_a_confirmation_that_is_lost_makes_a_copy_and_no_gap(
    connection: Connection, conninfo: str, proxy: TcpProxy, broker_url: str, acme: int
) -> None:
    ears = listener(broker_url)
    url = urlsplit(broker_url)
    proxied = url._replace(netloc=url.netloc.replace(f":{url.port}", f":{proxy.port}"))
    relay = AnnouncementRelay(conninfo, proxied.geturl())
    for number in range(1, 21):
        tell(connection, acme, "a", number)
        if number % 5 == 0:
            settle(connection)
            proxy.cut()
            with suppress(TransientError):
                relay.step()
    relay_all(relay, connection)
    relay.close()
    ears.await_(20)
    assert ears.numbers() == {"a": list(range(1, 21))}


def test_a_queue_that_refuses_holds_up_its_own_organization_only(
    relay: AnnouncementRelay, connection: Connection, broker_url: str, acme: int
) -> None:
    globex = organization(connection, "Globex")
    full = listener(
        broker_url,
        key=f"{acme}.#",
        queue="full",
        arguments={"x-max-length": 1, "x-overflow": "reject-publish"},
    )
    ears = listener(broker_url, key=f"{globex}.#")
    for number in range(1, 6):
        tell(connection, acme, "a", number)
        tell(connection, globex, "g", number)
    settle(connection)
    relay.step()
    ears.await_(5)
    assert ears.numbers() == {"g": [1, 2, 3, 4, 5]}
    assert unrelayed_count(connection) == 4

    def made_room() -> bool:
        full.listen()
        relay.step()
        return unrelayed_count(connection) == 0

    until(made_room, "the full queue to take the rest, one by one", seconds=60)
    full.await_(5)
    assert full.numbers() == {"a": [1, 2, 3, 4, 5]}
