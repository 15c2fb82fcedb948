"""What stands in the way of a run: locks, rows that change partitions, triggers, a lost table."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest

from tests.integration.reencryption.holding import Holding
from tests.integration.reencryption.stage import Stage
from tests.servers.waiting import until
from workers.reencryption import rewriting
from workers.reencryption.control import pause_run, resume_run

pytestmark = pytest.mark.usefixtures("small_pieces")

BeforeTransactions = Callable[[Callable[[int], object]], None]


def test_a_row_that_somebody_keeps_locked_is_left_and_picked_up_later(
    stage: Stage, customers: Holding
) -> None:
    stage.rotate()
    run_id = stage.start(workers=1)
    with stage.application() as holder:
        holder.execute(f"SELECT FROM {stage.name}.customer WHERE id = 10 FOR UPDATE")
        stage.reach(run_id, "rewriting")
        stage.execute_next()
        numbers = customers.numbers()
        assert numbers == Counter({1: 1, 2: customers.count_values() - 1})
        assert stage.totals(run_id)["conflicts"] == 1
        stage.execute_next()  # the census
        assert stage.run(run_id).pass_number == 2
    run = stage.settle(run_id)
    assert run.state == "completed"
    assert stage.totals(run_id)["rewritten"] == customers.count_rows()
    customers.assert_nothing_lost()


def test_a_table_that_somebody_keeps_locked_does_not_keep_the_run_from_being_paused(
    stage: Stage, customers: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "FEWEST_ROWS", 2)
    stage.rotate()
    run_id = stage.start(workers=1)
    stage.reach(run_id, "rewriting")
    with stage.application() as holder, ThreadPoolExecutor(1) as threads:
        holder.execute(f"LOCK TABLE {stage.name}.customer IN SHARE ROW EXCLUSIVE MODE")
        at_work = threads.submit(stage.execute_next)
        stage.let_the_monitor_look()
        assert not at_work.done()
        pause_run(stage.connection, run_id, reason="a test")
        began = time.monotonic()
        job = at_work.result(30)
        assert time.monotonic() - began < 15
        assert job is not None
        assert job.state == "succeeded"
        assert stage.totals(run_id)["rewritten"] == 0
    resume_run(stage.connection, run_id)
    assert stage.settle(run_id).state == "completed"
    assert customers.numbers() == Counter({2: customers.count_values()})
    customers.assert_nothing_lost()


def test_rows_that_go_to_another_partition_meanwhile_are_not_lost(
    stage: Stage, before_transactions: BeforeTransactions
) -> None:
    holding = Holding(
        stage, keys={"id": "bigint", "part": "integer"}, suffix="PARTITION BY LIST (part)"
    ).create()
    for part in (0, 1):
        holding.execute(
            f"CREATE TABLE {stage.name}.customer_{part} PARTITION OF @ FOR VALUES IN ({part})"
        )
    holding.fill([(n, 0) for n in range(300)])
    stage.rotate()
    run_id = stage.start(workers=1)
    moving = threading.Event()

    def move() -> None:
        """Move rows in a transaction that ends while ours waits for it."""
        rows = f"{stage.name}.customer SET %s WHERE id BETWEEN 91 AND 99"
        with stage.application() as connection:
            connection.execute("UPDATE " + rows % "note = 'about to move'")
            moving.set()
            until(lambda: waits_for(stage, connection.info.backend_pid), "our transaction to wait")
            connection.execute("UPDATE " + rows % "part = 1, card = NULL")

    with ThreadPoolExecutor(1) as threads:
        moves: list[Future[None]] = []

        def begin(number: int) -> None:
            if number == 1:
                moves.append(threads.submit(move))
                assert moving.wait(30)

        before_transactions(begin)
        run = stage.settle(run_id)
        moves[0].result(30)
    assert run.state == "completed"
    expected = holding.expected[stage.acme]
    for n in range(91, 100):
        expected.pop((n, 0))
        expected[(n, 1)] = {"card": None}
    assert holding.numbers() == Counter({2: holding.count_values()})
    holding.assert_nothing_lost()
    attempts = stage.connection.execute(
        "SELECT max(attempt) FROM keywright.job WHERE kind = 'reencryption.work'"
        " AND (arguments ->> 'run_id')::bigint = %s",
        [run_id],
    ).fetchone()
    assert attempts == (1,)


def waits_for(stage: Stage, pid: int) -> bool:
    """Whether somebody waits for a server process."""
    with stage.pool.connection() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", [pid]
        ).fetchone()
    return row != (0,)


def test_a_trigger_that_objects_pauses_the_run_with_the_reason(
    stage: Stage, customers: Holding
) -> None:
    customers.execute(
        f"CREATE FUNCTION {stage.name}.object() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'card %', NEW.card; END$$"
    )
    customers.execute(
        f"CREATE TRIGGER objects BEFORE UPDATE ON @ FOR EACH ROW WHEN (NEW.id = 300)"
        f" EXECUTE FUNCTION {stage.name}.object()"
    )
    stage.rotate()
    run_id = stage.start()
    run = stage.settle(run_id)
    assert (run.state, run.waiting_for) == ("paused", "RaiseException")
    assert stage.unfinished_jobs() == 0
    customers.assert_nothing_lost()
    customers.execute("DROP TRIGGER objects ON @")
    assert resume_run(stage.connection, run_id)
    assert stage.settle(run_id).state == "completed"
    assert stage.totals(run_id)["rewritten"] == customers.count_rows()


def test_a_table_that_is_gone_pauses_the_run_with_the_reason(
    stage: Stage, customers: Holding
) -> None:
    stage.rotate()
    run_id = stage.start()
    customers.execute("ALTER TABLE @ RENAME TO away")
    run = stage.settle(run_id)
    assert (run.state, run.waiting_for) == ("paused", "UndefinedTable")
    with psycopg.connect(stage.conninfo, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE {stage.name}.away RENAME TO customer")
    assert resume_run(stage.connection, run_id)
    assert stage.settle(run_id).state == "completed"
    customers.assert_nothing_lost()
