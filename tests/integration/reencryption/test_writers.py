"""Applications that write during a run: no acknowledged write is lost, and no stale one escapes."""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.integration.reencryption.holding import Holding
from tests.integration.reencryption.stage import Stage
from workers.encryption.associated_data import associated_data_prefix
from workers.encryption.ciphertext import seal
from workers.encryption.registry import find_field
from workers.encryption.row_keys import row_encoder
from workers.reencryption import steps

pytestmark = pytest.mark.usefixtures("small_pieces")

BeforeTransactions = Callable[[Callable[[int], object]], None]


class Writer:
    """An application at full speed on every third row, so that it knows what each ought to hold."""

    def __init__(self, holding: Holding, first: int, stop: threading.Event) -> None:
        self._holding = holding
        self._first = first
        self._stop = stop
        self._random = random.Random(first)
        self._next = 100_000 + first

    def write(self) -> int:
        """Write until told to stop; return how many writes were acknowledged."""
        holding = self._holding
        expected = holding.expected[holding.stage.acme]
        mine = [key for key in list(expected) if key[0] % 3 == self._first]
        written = 0
        while not self._stop.is_set():
            key = self._random.choice(mine)
            what = self._random.choice(("update", "update", "insert", "delete", "move", "empty"))
            if what == "update":
                holding.update(key, {"card": b"update %d" % written})
            elif what == "empty":
                holding.update(key, {"card": None})
            elif what == "insert":
                new = self._new_key()
                row = dict.fromkeys(holding.columns, b"insert %d" % written)
                with holding.stage.application(holding.conninfo) as connection:
                    holding.write_rows(connection, {new: row})
                expected[new] = row
                mine.append(new)
            elif what == "move":
                new = self._new_key()
                holding.move(key, new)
                mine[mine.index(key)] = new
            elif len(mine) > 50:
                holding.delete(key)
                mine.remove(key)
            written += 1
        return written

    def _new_key(self) -> tuple[int]:
        self._next += 3
        return (self._next,)


@contextmanager
def writers(holding: Holding) -> Any:
    """Have three applications write as long as the block lasts; yield what counts their writes."""
    stop = threading.Event()
    with ThreadPoolExecutor(3) as threads:
        futures: list[Future[int]] = [
            threads.submit(Writer(holding, first, stop).write) for first in range(3)
        ]
        try:
            yield futures
        finally:
            stop.set()


@pytest.mark.parametrize("database", [None, "billing"])
def test_no_acknowledged_write_is_lost_at_full_speed(stage: Stage, database: str | None) -> None:
    columns = {"card": "bytea", "iban": "bytea"}
    holding = Holding(stage, connection_name=database, columns=columns).create().fill_numbers(900)
    conflicts = 0
    with writers(holding) as futures:
        for number in (2, 3):
            assert stage.rotate() == number
            run_id = stage.start(workers=2)
            with ThreadPoolExecutor(2) as threads:
                for done in [threads.submit(work, stage, run_id) for _ in range(2)]:
                    done.result(60)
            run = stage.run(run_id)
            assert run.state == "completed", run
            conflicts += stage.totals(run_id)["conflicts"]
    assert sum(future.result(30) for future in futures) > 50
    assert stage.quarantine() == {}
    assert set(holding.numbers()) == {3}
    holding.assert_nothing_lost()


def work(stage: Stage, run_id: int) -> None:
    """Do a run's jobs until it is completed, for at most a while."""
    deadline = time.monotonic() + 40
    while stage.run(run_id).state != "completed" and time.monotonic() < deadline:
        stage.make_due()
        stage.execute_next()


def test_what_is_written_between_reading_and_writing_stays(
    stage: Stage, customers: Holding, before_transactions: BeforeTransactions
) -> None:
    stage.rotate()
    run_id = stage.start(workers=1)

    def write(number: int) -> None:
        if number == 1:
            for row in (1, 21, 41):
                customers.update((row,), {"card": b"newer"})
            customers.update((2,), {"card": None})
            customers.delete((3,))
            customers.move((5,), (5000,))
            customers.move((6,), (3,))  # where another was

    before_transactions(write)
    assert stage.settle(run_id).state == "completed"
    assert stage.totals(run_id)["conflicts"] >= 4
    assert customers.numbers() == Counter({2: customers.count_values()})
    customers.assert_nothing_lost()


def stale_value(holding: Holding, key: tuple[int], value: bytes, *, number: int = 1) -> bytes:
    """Encrypt under a former key, as a process does that knows nothing of the fence."""
    stage = holding.stage
    field = find_field(stage.connection, holding.field_name("card"))
    aead = stage.keyring.key(stage.acme, number).field_aead(field.field_id)
    prefix = associated_data_prefix(number, stage.acme, field.field_id)
    row_key = row_encoder(field.key_types)(key)
    return seal(aead, value, prefix + row_key, key_number=number, nonce=os.urandom(12))


def write_stale(holding: Holding, number: int) -> None:
    """Write a row again under the first key."""
    key = (number,)
    value = b"stale %d" % number
    holding.spoil(key, stale_value(holding, key, value))
    holding.expected[holding.stage.acme][key]["card"] = value


def test_a_stale_writer_is_caught_by_a_further_pass(stage: Stage, customers: Holding) -> None:
    stage.rotate()
    run_id = stage.start(workers=1)
    stage.reach(run_id, "rewriting")
    stage.execute_next()
    assert customers.numbers() == Counter({2: customers.count_values()})
    write_stale(customers, 10)
    stage.execute_next()  # the census
    run = stage.run(run_id)
    assert (run.state, run.pass_number, run.zero_censuses) == ("rewriting", 2, 0)
    assert run.waiting_for == "1 values were written or locked by others: pass 2"
    run = stage.settle(run_id)
    assert (run.state, run.zero_censuses >= steps.ZERO_CENSUSES) == ("completed", True)
    assert run.report is not None
    assert run.report["rewritten"] == customers.count_rows() + 1
    customers.assert_nothing_lost()


def test_a_stale_writer_is_caught_even_during_the_verification(
    stage: Stage, customers: Holding
) -> None:
    stage.rotate()
    run_id = stage.start(workers=1)
    stage.reach(run_id, "verifying")
    write_stale(customers, 10)
    run = stage.settle(run_id)
    assert run.state == "completed"
    assert customers.numbers() == Counter({2: customers.count_values()})
    customers.assert_nothing_lost()


def test_a_writer_that_is_stale_all_the_time_keeps_the_run_at_it_but_loses_nothing(
    stage: Stage, customers: Holding
) -> None:
    stage.rotate()
    run_id = stage.start(workers=1)
    for row in range(10, 20):
        stage.make_due()
        stage.execute_next()
        write_stale(customers, row)
    run = stage.run(run_id)
    assert (run.state, run.pass_number > 3) == ("rewriting", True)
    customers.assert_nothing_lost()
    assert stage.settle(run_id).state == "completed"
    assert customers.numbers() == Counter({2: customers.count_values()})
    customers.assert_nothing_lost()
