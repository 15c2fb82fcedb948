"""What a run writes: counted, also as uses of the key, and never into a row of somebody else."""

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from tests.integration.reencryption.holding import Holding
from tests.integration.reencryption.stage import Stage
from tests.servers.waiting import until
from workers.keys.listing import show_key

pytestmark = pytest.mark.usefixtures("small_pieces")

BeforeTransactions = Callable[[Callable[[int], object]], None]


def test_every_value_that_a_run_encrypts_is_counted_as_a_use_of_its_key(
    stage: Stage, customers: Holding
) -> None:
    assert stage.rotate() == 2
    assert show_key(stage.connection, stage.acme, 2).uses_leased == 0
    stage.complete()
    used = show_key(stage.connection, stage.acme, 2).uses_leased
    assert used >= customers.count_values()


def test_a_row_that_goes_to_another_organization_meanwhile_is_not_encrypted_for_the_former(
    stage: Stage, before_transactions: BeforeTransactions
) -> None:
    holding = Holding(stage).create(state="plaintext").fill_numbers(60)
    before = holding.value((50,))
    assert before is not None

    def give_away(number: int) -> None:
        if number == 1:
            holding.execute(f"UPDATE @ SET tenant = {stage.globex} WHERE id = 50")

    before_transactions(give_away)
    stage.complete("encrypt", *holding.field_names)
    assert holding.stored(stage.globex)[(50,)]["card"] == before


def test_the_report_says_what_was_done_and_what_it_cost(
    stage: Stage, before_transactions: BeforeTransactions
) -> None:
    holding = Holding(stage).create().fill_numbers(60)
    stage.rotate()

    def write_meanwhile(number: int) -> None:
        if number == 1:
            holding.update((50,), {"card": b"new"})

    before_transactions(write_meanwhile)
    run_id = stage.start(workers=1)
    stage.reach(run_id, "verifying")
    name = f"{stage.name}.customer"
    counts = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_all_tables WHERE relid = %s::regclass"

    def updates() -> tuple[int, int]:
        [(all_of_them, hot)] = stage.connection.execute(counts, [name]).fetchall()
        return all_of_them, hot

    values = holding.count_values()
    until(lambda: updates()[0] == values, "the server's counts")
    report = stage.settle(run_id).report
    assert report is not None
    done = (report["rewritten"], report["conflicts"], report["verified"])
    assert done == (values - 1, 1, values)
    assert report["rows_per_second"] == pytest.approx((values - 1) / report["seconds"], rel=0.1)
    [table] = [each for each in report["tables"] if each["table"] == name]
    assert table["hot_fraction"] == pytest.approx(updates()[1] / values, abs=0.0001)
    assert table["hot_fraction"] > 0
    assert values * 50 < table["wal_bytes"] == report["wal_bytes"]
    holding.assert_nothing_lost()


def test_no_value_is_in_the_log_or_in_an_announcement(stage: Stage) -> None:
    holding = Holding(stage).create(state="plaintext").fill_numbers(60)
    values = {each["card"] for each in holding.expected[stage.acme].values() if each["card"]}
    assert len(values) > 30
    with capture_logs() as logged:
        stage.complete("encrypt", *holding.field_names)
        holding.spoil((50,), b"4111 1111 1111 1111")  # goes to quarantine
        stage.rotate()
        stage.complete()
    assert logged
    told = str(logged) + str(stage.announcements("reencryption.completed"))
    for value in (*values, b"4111 1111 1111 1111"):
        assert value.decode() not in told
