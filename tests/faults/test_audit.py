"""The audit record while those who link it are killed: one chain, without gaps, of all entries."""

import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg

from tests.integration.audit.record import do, link_the_beginning, verify
from tests.servers.waiting import until
from workers.audit.linking import read_head
from workers.database.pool import Connection

LINKER = """
import sys
import psycopg
from workers.audit.linking import link_some
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    while True:
        link_some(connection, limit=20)
"""
WRITERS = 4
OF_EACH = 300


class Linkers:
    """Processes that link without rest."""

    def __init__(self, conninfo: str, stack: ExitStack) -> None:
        self._conninfo = conninfo
        self._stack = stack
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Run one more."""
        process = subprocess.Popen(
            [sys.executable, "-c", LINKER, self._conninfo],
            cwd=Path(__file__).parents[2],
            env={name: each for name, each in os.environ.items() if "KEYWRIGHT" not in name},
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


def unlinked(connection: Connection) -> int:
    """Return how many entries have no link."""
    row = connection.execute("SELECT count(*) FROM keywright.audit_unlinked").fetchone()
    assert row is not None
    return int(row[0])


def test_whoever_links_is_killed_every_entry_is_linked_once(
    conninfo: str, connection: Connection
) -> None:
    beginning = link_the_beginning(connection)
    stop = threading.Event()
    chance = random.Random(7)

    def write(writer: int) -> None:
        with psycopg.connect(conninfo, autocommit=True) as own:
            for number in range(OF_EACH):
                do(own, 3, f"w{writer}n{number}x")
                # So that there is always something under way when one dies.
                stop.wait(0.02)

    with ExitStack() as stack, ThreadPoolExecutor(WRITERS) as threads:
        linkers = Linkers(conninfo, stack)
        linkers.start()
        linkers.start()
        written = [threads.submit(write, number) for number in range(WRITERS)]
        for _ in range(6):
            before = read_head(connection).position
            until(
                lambda before=before: read_head(connection).position > before,  # type: ignore[misc]
                "somebody to link",
            )
            linkers.kill_one(chance.randrange(2))
            linkers.start()
        stop.set()
        for each in written:
            each.result()
        until(lambda: unlinked(connection) == 0, "the last to link the rest", seconds=60)
    assert read_head(connection).position == beginning + WRITERS * OF_EACH * 3
    assert verify(connection) == []
