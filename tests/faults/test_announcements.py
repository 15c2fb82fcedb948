"""Announcements while schedulers are killed: nothing is lost, nothing overtakes in a subject."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg

from tests.faults.scheduler_processes import Schedulers
from tests.integration.announcements.town_crier import (
    listener,
    organization,
    tell,
    unrelayed_count,
)
from tests.servers.waiting import until
from workers.database.pool import Connection

SUBJECTS = 8
OF_EACH = 120


def relayed(connection: Connection) -> int:
    """Return how many announcements the broker has for sure."""
    row = connection.execute(
        "SELECT count(*) FROM keywright.announcement WHERE relayed_at IS NOT NULL"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_whatever_scheduler_is_killed_nothing_is_lost_or_reordered(
    schedulers: Schedulers, connection: Connection, conninfo: str, broker_url: str
) -> None:
    acme = organization(connection, "Acme")
    ears = listener(broker_url)
    ended = threading.Event()

    def write(subject: str) -> None:
        with psycopg.connect(conninfo, autocommit=True) as own:
            for number in range(1, OF_EACH + 1):
                tell(own, acme, subject, number)
                # So that there is always something under way when one dies.
                ended.wait(0.05)

    schedulers.start()
    schedulers.start()
    chance = random.Random(5)
    with ThreadPoolExecutor(SUBJECTS) as threads:
        written = [threads.submit(write, f"s{number}") for number in range(SUBJECTS)]
        for _ in range(5):
            before = relayed(connection)
            until(lambda before=before: relayed(connection) > before, "a scheduler to relay")  # type: ignore[misc]
            schedulers.kill_one(chance.randrange(2))
            schedulers.start()
        ended.set()
        for each in written:
            each.result()
    until(lambda: unrelayed_count(connection) == 0, "the last to relay the rest", seconds=60)
    ears.await_(SUBJECTS * OF_EACH)
    everything = list(range(1, OF_EACH + 1))
    assert ears.numbers() == {f"s{number}": everything for number in range(SUBJECTS)}


def test_a_consumer_that_was_away_hears_all_that_happened_meanwhile(
    schedulers: Schedulers, connection: Connection, broker_url: str
) -> None:
    acme = organization(connection, "Acme")
    schedulers.start()
    ears = listener(broker_url)
    for number in range(1, 51):
        tell(connection, acme, "s", number)
        if number == 20:
            ears.await_(20)
    until(lambda: unrelayed_count(connection) == 0, "all to be relayed")
    ears.await_(50)
    assert ears.numbers() == {"s": list(range(1, 51))}
    assert len({each["id"] for each in ears.heard}) == 50
