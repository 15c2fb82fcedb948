"""Values that do not open: classed, left as they are, kept readable later, and retried."""

from collections import Counter

import pytest

from tests.integration.reencryption.holding import Holding
from tests.integration.reencryption.stage import Stage
from workers.encryption.ciphertext import header
from workers.keys.states import State
from workers.reencryption.control import resume_run
from workers.reencryption.destruction import evidence

pytestmark = pytest.mark.usefixtures("small_pieces")


def spread(stage: Stage, rows: int = 200) -> Holding:
    """Return a table in which row 2 is under key 2, row 3 under key 3, and the rest under key 1."""
    holding = Holding(stage, columns={"card": "bytea", "iban": "bytea"}).create()
    holding.fill_numbers(rows)
    for number in (2, 3):
        assert stage.rotate() == number
        holding.update((number,), {"card": b"under key %d" % number, "iban": None})
    assert stage.rotate() == 4
    return holding


def test_every_class_is_told_apart_and_the_others_are_rewritten(stage: Stage) -> None:
    holding = spread(stage)
    values = {number: holding.value((number,)) for number in range(68, 74)}
    holding.spoil((68,), values[68][:20])
    holding.spoil((69,), header(77) + values[69][6:])
    holding.spoil((70,), values[70][:-1] + bytes([values[70][-1] ^ 1]))
    holding.spoil((71,), b"4111 1111")
    holding.spoil((72,), values[71])  # whose row holds another by now
    holding.spoil((73,), holding.value((75,)))
    holding.spoil((76,), holding.value((76,), "iban"))
    holding.fill_numbers(3, first=1000, owner=stage.globex)
    holding.execute(f"UPDATE @ SET tenant = {stage.acme} WHERE id = 1000")
    stage.move_key(2, State.DESTROYED)
    stage.move_key(3, State.SUSPENDED)
    run = stage.start()
    before = holding.stored()
    done = stage.settle(run)
    assert (done.state, done.pass_number) == ("completed", 2)
    expected = {
        ("card", "2"): "destroyed_key",
        ("card", "3"): "suspended_key",
        ("card", "68"): "malformed",
        ("card", "69"): "unknown_key",
        ("card", "70"): "tag_mismatch",
        ("card", "71"): "plaintext_found",
        ("card", "72"): "tag_mismatch",  # nothing says where it comes from
        ("card", "73"): "moved_row",
        ("card", "76"): "moved_row",
        ("card", "1000"): "moved_row",
        ("iban", "1000"): "moved_row",
    }
    assert stage.quarantine() == expected
    assert done.report is not None
    assert done.report["quarantined"] == dict(Counter(expected.values()))
    after = holding.stored()
    for column, number in expected:
        key = (int(number),)
        assert after[key][column] == before[key][column]
        before[key][column] = after[key][column] = None
    moved_on = [value for row in after.values() for value in row.values() if value is not None]
    assert {value[:6] for value in moved_on} == {header(4)}
    assert len(moved_on) == sum(v is not None for row in before.values() for v in row.values())
    [told] = stage.announcements("reencryption.completed")
    assert told["quarantined"] == len(expected)
    assert told["rewritten"] == stage.totals(run)["rewritten"]


def test_what_is_in_quarantine_keeps_its_key(stage: Stage) -> None:
    holding = spread(stage)
    value = holding.value((61,))
    holding.spoil((61,), value[:-1] + bytes([value[-1] ^ 1]))
    stage.complete()
    needs = evidence(stage.connection, stage.connections, organization_id=stage.acme, number=1)
    assert [(need.values, holding.field_name("card") in need.what) for need in needs] == [(1, True)]
    assert evidence(stage.connection, stage.connections, organization_id=stage.acme, number=2) == []


def test_the_import_of_a_destroyed_key_empties_the_quarantine(stage: Stage) -> None:
    holding = spread(stage)
    stage.export(2)
    stage.move_key(2, State.DESTROYED)
    stage.complete()
    assert stage.quarantine() == {("card", "2"): "destroyed_key"}
    imported = stage.bring_back(2)
    assert imported.quarantined == 1
    assert imported.retry_job_id is not None
    stage.execute(imported.retry_job_id)
    row = stage.connection.execute(
        "SELECT max(run_id) FROM keywright.reencryption_run WHERE organization_id = %s",
        [stage.acme],
    ).fetchone()
    assert row is not None
    run = stage.settle(row[0])
    assert run.state == "completed"
    assert stage.totals(run.run_id)["rewritten"] == 1
    assert stage.quarantine() == {}
    holding.assert_nothing_lost()
    assert holding.numbers() == Counter({4: holding.count_values()})


@pytest.mark.parametrize("when", ["rewriting", "verifying"])
def test_a_key_that_is_imported_during_a_run_is_not_forgotten(stage: Stage, when: str) -> None:
    holding = spread(stage)
    stage.export(2)
    stage.move_key(2, State.DESTROYED)
    run_id = stage.start()
    stage.reach(run_id, when)
    while not stage.quarantine():
        stage.execute_next()
    assert stage.bring_back(2).retry_job_id is None  # the run is to see to it
    run = stage.settle(run_id)
    assert run.state == "completed"
    assert stage.quarantine() == {}
    holding.assert_nothing_lost()
    assert holding.numbers() == Counter({4: holding.count_values()})


def test_a_reinstated_key_is_not_forgotten_by_a_run(stage: Stage) -> None:
    holding = spread(stage)
    stage.move_key(3, State.SUSPENDED)
    run_id = stage.start()
    stage.reach(run_id, "verifying")
    stage.move_key(3, State.ARCHIVED)
    assert stage.settle(run_id).state == "completed"
    assert stage.quarantine() == {}
    holding.assert_nothing_lost()


@pytest.mark.parametrize("how", ["written anew", "put back", "emptied", "deleted"])
def test_a_value_that_its_owner_has_seen_to_is_released(stage: Stage, how: str) -> None:
    holding = spread(stage)
    value = holding.value((61,))
    holding.spoil((61,), value[:-1] + bytes([value[-1] ^ 1]))
    stage.complete()
    assert stage.quarantine() == {("card", "61"): "tag_mismatch"}
    if how == "written anew":
        holding.update((61,), {"card": b"by its owner"})
    elif how == "put back":
        holding.spoil((61,), value)
    elif how == "emptied":
        holding.update((61,), {"card": None})
    else:
        holding.delete((61,))
    run = stage.complete()
    assert run.report is not None
    assert run.report["quarantined"] == {}
    assert stage.quarantine() == {}
    holding.assert_nothing_lost()
    assert holding.numbers() == Counter({4: holding.count_values()})


def test_a_value_seen_to_during_the_run_is_rewritten_too(stage: Stage) -> None:
    holding = spread(stage)
    value = holding.value((61,))
    holding.spoil((61,), value[:-1] + bytes([value[-1] ^ 1]))
    run_id = stage.start()
    stage.reach(run_id, "verifying")
    assert stage.quarantine() == {("card", "61"): "tag_mismatch"}
    holding.spoil((61,), value)  # from a backup, under the former key
    assert stage.settle(run_id).state == "completed"
    assert stage.quarantine() == {}
    assert holding.numbers() == Counter({4: holding.count_values()})
    holding.assert_nothing_lost()


def test_too_many_pause_the_run_and_an_import_lets_it_go_on(stage: Stage) -> None:
    holding = Holding(stage).create().fill_numbers(400)
    stage.rotate()
    holding.update((400,), {"card": b"under key 2"})
    spoilt = holding.value((390,))
    holding.spoil((390,), spoilt[:-1] + bytes([spoilt[-1] ^ 1]))
    stage.export(1)
    stage.move_key(1, State.DESTROYED)
    stage.rotate()
    run_id = stage.start(most_quarantined=30)
    paused = stage.settle(run_id)
    assert paused.state == "paused"
    assert paused.waiting_for is not None
    assert "more than 30 values do not open" in paused.waiting_for
    assert 30 < len(stage.quarantine()) < 400
    assert stage.unfinished_jobs() == 0
    stage.bring_back(1)
    assert resume_run(stage.connection, run_id)
    run = stage.settle(run_id)
    assert (run.state, run.waiting_for) == ("completed", None)
    assert stage.quarantine() == {("card", "390"): "tag_mismatch"}
    holding.spoil((390,), spoilt)
    holding.assert_nothing_lost()


def test_who_resumes_a_run_that_paused_for_too_many_has_it_go_on(stage: Stage) -> None:
    holding = Holding(stage).create().fill_numbers(400)
    stage.rotate()
    stage.export(1)
    stage.move_key(1, State.DESTROYED)
    run_id = stage.start(most_quarantined=30)
    assert stage.settle(run_id).state == "paused"
    seen = len(stage.quarantine())
    assert resume_run(stage.connection, run_id)
    stage.settle(run_id)
    assert len(stage.quarantine()) > seen
    stage.bring_back(1)
    holding.assert_nothing_lost()
