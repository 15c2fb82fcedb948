"""Announcements while schedulers are killed: nothing is lost, nothing overtakes in a subject."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.keywright_command import url_of
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


class Schedulers:
    """Scheduler processes over one database and broker."""

    def __init__(self, conninfo: str, broker_url: str, stack: ExitStack) -> None:
        self._environment = {
            **{name: each for name, each in os.environ.items() if "KEYWRIGHT" not in name},
            "KEYWRIGHT_DATABASE_URL": url_of(conninfo),
            "KEYWRIGHT_BROKER_URL": broker_url,
        }
        self._stack = stack
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Run one more."""
        process = subprocess.Popen(
            [sys.executable, "-m", "scheduler"],
            env=self._environment,
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        self._running.append(process)

    def kill_one(self, which: int) -> None:
        """End one at once, as a loss of power would."""
        process = self._running.pop(which)
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.fixture
def schedulers(conninfo: str, broker_url: str) -> Iterator[Schedulers]:
    """None yet; those that are started end with the test."""
    with ExitStack() as stack:
        yield Schedulers(conninfo, broker_url, stack)


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
