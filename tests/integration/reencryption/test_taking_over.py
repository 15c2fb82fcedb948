"""Workers that die or fall asleep in the middle of a range, and those that take over from them."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.integration.reencryption.holding import Holding
from tests.integration.reencryption.stage import Stage
from workers.jobs.retry import LeaseLostError
from workers.reencryption import steps
from workers.reencryption.control import cancel_run, pause_run

pytestmark = pytest.mark.usefixtures("small_pieces")

BeforeTransactions = Callable[[Callable[[int], object]], None]


def test_workers_that_share_a_run_account_for_every_row_once(stage: Stage) -> None:
    holding = Holding(stage, columns={"card": "bytea", "name": "text"}).create().fill_numbers(1000)
    stage.rotate()
    run_id = stage.start(workers=3)

    def work() -> None:
        while stage.run(run_id).state != "completed":
            stage.make_due()
            stage.execute_next()

    with ThreadPoolExecutor(3) as threads:
        for worker in [threads.submit(work) for _ in range(3)]:
            worker.result(60)
    totals = stage.totals(run_id)
    assert totals["ranges"] > 3
    assert (totals["rewritten"], totals["conflicts"]) == (holding.count_rows(), 0)
    assert holding.numbers() == Counter({2: holding.count_values()})
    holding.assert_nothing_lost()


def test_another_worker_goes_on_where_one_died_and_counts_nothing_twice(
    stage: Stage, customers: Holding, before_transactions: BeforeTransactions
) -> None:
    stage.rotate()
    run_id = stage.start(workers=1)

    def die(number: int) -> None:
        if number % 9 == 8:
            raise LeaseLostError("as if killed")  # nothing is recorded of the job's end

    before_transactions(die)
    for _ in range(60):
        stage.bury_the_dead()
        stage.make_due()
        stage.execute_next()
        customers.assert_nothing_lost()
        if stage.run(run_id).state == "completed":
            break
    assert stage.run(run_id).state == "completed"
    assert stage.totals(run_id)["rewritten"] == customers.count_rows()
    assert customers.numbers() == Counter({2: customers.count_values()})


def test_a_lost_connection_only_makes_the_job_try_again(
    stage: Stage, customers: Holding, before_transactions: BeforeTransactions
) -> None:
    stage.rotate()
    run_id = stage.start(workers=1)

    def cut(number: int) -> None:
        if number in (3, 9):
            terminate(stage, "keywright re-encryption")

    before_transactions(cut)
    assert stage.settle(run_id).state == "completed"
    assert stage.totals(run_id)["rewritten"] == customers.count_rows()
    customers.assert_nothing_lost()


def test_a_monitor_whose_connection_is_cut_looks_again(
    stage: Stage, customers: Holding, before_transactions: BeforeTransactions
) -> None:
    stage.rotate()
    run_id = stage.start(workers=1)
    cuts: list[int] = []

    def cut(number: int) -> None:
        if number % 4 == 1:
            if cuts:
                stage.let_the_monitor_look()  # so that there is a connection to be cut again
            cuts.append(terminate(stage, "keywright monitor"))
        if number == 12:
            cancel_run(stage.connection, run_id)
            stage.let_the_monitor_look()  # with a connection of its own again

    before_transactions(cut)
    assert stage.settle(run_id).state == "cancelled"
    assert sum(cuts) > 1
    customers.assert_nothing_lost()


def terminate(stage: Stage, application: str) -> int:
    return len(
        stage.connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = %s",
            [application],
        ).fetchall()
    )


def test_a_worker_that_wakes_up_after_another_took_over_does_no_harm(
    stage: Stage, customers: Holding, before_transactions: BeforeTransactions
) -> None:
    stage.rotate()
    run_id = stage.start(workers=1)

    def sleep(number: int) -> None:
        if number == 4:
            stage.bury_the_dead()
            assert stage.settle(run_id).state == "completed"
            customers.update((5,), {"card": b"afterwards"})

    before_transactions(sleep)
    stage.reach(run_id, "rewriting")
    stage.execute_next()  # is asleep while all the rest happens
    assert stage.settle(run_id).state == "completed"
    assert customers.numbers() == Counter({2: customers.count_values()})
    assert stage.totals(run_id)["rewritten"] == customers.count_rows()
    customers.assert_nothing_lost()
    assert len(stage.announcements("reencryption.completed")) == 1


@pytest.mark.parametrize("database", [None, "billing"])
def test_a_decrypting_worker_that_wakes_up_late_puts_no_plaintext_among_ciphertext(
    stage: Stage,
    before_transactions: BeforeTransactions,
    monkeypatch: pytest.MonkeyPatch,
    database: str | None,
) -> None:
    """Its run was cancelled and another encrypts: that one waits for it, and says so."""
    monkeypatch.setattr(steps, "FENCE_SECONDS", 0.05)
    holding = Holding(stage, connection_name=database).create().fill_numbers(300)
    run_id = stage.start("decrypt", *holding.field_names, workers=1)
    later = []

    def sleep(number: int) -> None:
        if number == 4:
            cancel_run(stage.connection, run_id)
            stage.bury_the_dead()
            encryption = stage.start("encrypt", *holding.field_names)
            for _ in range(5):
                stage.make_due()
                stage.execute_next()
            later.append(stage.run(encryption))

    before_transactions(sleep)
    stage.reach(run_id, "rewriting")
    stage.execute_next()
    assert (later[0].state, later[0].purpose) == ("starting", "encrypt")
    assert later[0].waiting_for is not None
    assert "workers of an earlier run: process " in later[0].waiting_for
    assert stage.settle(later[0].run_id).state == "completed"
    assert holding.state() == "encrypted"
    assert holding.numbers() == Counter({1: holding.count_values()})
    holding.assert_nothing_lost()


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_worker_that_wakes_up_late_writes_nothing_in_a_range_that_it_lost(
    stage: Stage,
    customers: Holding,
    before_transactions: BeforeTransactions,
    cancelled: bool,
) -> None:
    stage.rotate()
    run_id = stage.start(workers=1)
    written: list[int] = []

    def sleep(number: int) -> None:
        if number == 4:
            stage.bury_the_dead()
            if cancelled:
                cancel_run(stage.connection, run_id)
            else:
                pause_run(stage.connection, run_id, reason="a test")
                stage.connection.execute(
                    "UPDATE keywright.reencryption_range SET claim = gen_random_uuid()"
                    " WHERE claim IS NOT NULL"
                )
            written.append(customers.numbers()[2])

    before_transactions(sleep)
    stage.reach(run_id, "rewriting")
    stage.execute_next()
    assert customers.numbers()[2] == written[0]
    customers.assert_nothing_lost()


def test_a_run_follows_a_key_that_takes_the_place_of_its_target(
    stage: Stage, customers: Holding, before_transactions: BeforeTransactions
) -> None:
    stage.rotate()
    run_id = stage.start()
    before_transactions(lambda n: n in (3, 20) and stage.rotate())
    run = stage.settle(run_id)
    assert (run.state, run.target_number) == ("completed", 4)
    assert customers.numbers() == Counter({4: customers.count_values()})
    customers.assert_nothing_lost()
    assert run.report is not None
    counted = [each["by_key"] for each in run.report["census_after"]]
    assert {"4": customers.count_values()} in counted


def test_a_run_that_verifies_follows_a_new_key_too(stage: Stage, customers: Holding) -> None:
    stage.rotate()
    run_id = stage.start()
    stage.reach(run_id, "verifying")
    stage.rotate()
    run = stage.settle(run_id)
    assert (run.state, run.target_number) == ("completed", 3)
    assert customers.numbers() == Counter({3: customers.count_values()})
    customers.assert_nothing_lost()


def test_after_a_rotation_a_run_writes_little_more_under_the_former_key(
    stage: Stage, customers: Holding, before_transactions: BeforeTransactions
) -> None:
    """What it has read by then it may still write; the next it reads it does not."""
    stage.rotate()
    run_id = stage.start(workers=1)
    seen: list[int] = []

    def rotate(number: int) -> None:
        if number == 4:
            stage.rotate()
            seen.append(customers.numbers()[2])

    before_transactions(rotate)
    stage.reach(run_id, "rewriting")
    stage.execute_next()
    assert customers.numbers()[2] - seen[0] <= 150
    assert stage.run(run_id).state == "starting"


def test_writers_and_workers_in_another_database_may_lose_their_connections(
    stage: Stage, before_transactions: BeforeTransactions
) -> None:
    holding = Holding(stage, connection_name="billing").create().fill_numbers(300)
    stage.rotate()
    run_id = stage.start(workers=1)
    done = threading.Event()

    def cut(number: int) -> None:
        if number == 4:
            with psycopg.connect(holding.conninfo, autocommit=True) as there:
                there.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            done.set()

    before_transactions(cut)
    assert stage.settle(run_id).state == "completed"
    assert done.is_set()
    assert holding.numbers() == Counter({2: holding.count_values()})
    holding.assert_nothing_lost()
