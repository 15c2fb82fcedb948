"""Encrypt, re-encrypt, decrypt back: every value is right at each step, whatever the table."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.integration.reencryption.holding import Holding
from tests.integration.reencryption.rows import Key
from tests.integration.reencryption.stage import Stage

pytestmark = pytest.mark.usefixtures("small_pieces")

START = date(2026, 3, 1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def go_through(holding: Holding) -> None:
    """Encrypt a table that holds plaintext, let two rotations follow, and decrypt it."""
    stage, names = holding.stage, holding.field_names
    values = holding.count_values()
    assert holding.numbers() == Counter({None: values})
    assert stage.complete("encrypt", *names).report is not None
    assert holding.numbers() == Counter({1: values})
    assert {holding.state(column) for column in holding.columns} == {"encrypted"}
    holding.assert_nothing_lost()
    for number in (2, 3):
        assert stage.rotate() == number
        run = stage.complete()
        assert holding.numbers() == Counter({number: values})
        holding.assert_nothing_lost()
        assert stage.totals(run.run_id)["rewritten"] == holding.count_rows()
        assert stage.totals(run.run_id, is_check=True)["rewritten"] == holding.count_rows()
    stage.complete("decrypt", *names)
    assert holding.numbers() == Counter({None: values})
    assert {holding.state(column) for column in holding.columns} == {"plaintext"}
    holding.assert_nothing_lost()
    assert stage.quarantine() == {}


def test_bytes_in_one_column(stage: Stage) -> None:
    holding = Holding(stage).create(state="plaintext").fill_numbers(400)
    go_through(holding)


def test_bytes_and_text_in_several_columns_of_one_table(stage: Stage) -> None:
    columns = {"card": "bytea", "name": "text", "iban": "bytea", "street": "varchar"}
    holding = Holding(stage, columns=columns).create(state="plaintext").fill_numbers(200)
    go_through(holding)


def test_a_column_that_is_empty_throughout(stage: Stage) -> None:
    holding = Holding(stage, columns={"card": "bytea", "name": "text"}).create(state="plaintext")
    holding.fill_numbers(200)
    for key, row in holding.expected[stage.acme].items():
        holding.spoil(key, None)
        row["card"] = None
    go_through(holding)


def test_an_empty_table(stage: Stage) -> None:
    holding = Holding(stage).create(state="plaintext")
    holding.expected[stage.acme] = {}
    go_through(holding)


def test_a_table_of_one_organization(stage: Stage) -> None:
    holding = Holding(stage, owner_column=None).create(state="plaintext").fill_numbers(200)
    go_through(holding)


KEYS: dict[str, tuple[Mapping[str, str], Iterable[Key]]] = {
    "uuid": ({"id": "uuid"}, [(uuid4(),) for _ in range(150)]),
    "text": ({"id": "text"}, [(f"Zoë {n} \\ % ' \"",) for n in range(90)]),
    "char": ({"id": "char(8)"}, [(f"{n:<8}",) for n in range(90)]),
    "bytea": ({"id": "bytea"}, [(bytes([n % 256, n // 256, 0]),) for n in range(90)]),
    "date": ({"id": "date"}, [(START + timedelta(days=n),) for n in range(90)]),
    "timestamptz": ({"id": "timestamptz"}, [(NOON + timedelta(seconds=n),) for n in range(90)]),
    "numeric": ({"id": "numeric"}, [(Decimal(n) / 7,) for n in range(1, 90)]),
    "smallint": ({"id": "smallint"}, [(n,) for n in range(-45, 45)]),
    "composite": (
        {"region": "text", "day": "date", "id": "integer", "closed": "boolean"},
        [(f"r{n % 5}", START + timedelta(days=n % 3), n, n % 2 == 0) for n in range(90)],
    ),
}


@pytest.mark.parametrize("by_blocks", [True, False], ids=["physical order", "key order"])
def test_every_type_of_key_in_both_orders(stage: Stage, by_blocks: bool) -> None:
    holdings = []
    for kind, (keys, rows) in KEYS.items():
        holding = Holding(stage, name=f"by_{kind}", keys=keys).create(state="plaintext").fill(rows)
        # Nobody but us gathers statistics, by which the order is chosen.
        holding.execute("ALTER TABLE @ SET (autovacuum_enabled = false)")
        if not by_blocks:
            # In the order of the key, so that this is the order to be chosen.
            holding.execute(f"CLUSTER @ USING by_{kind}_pkey")
            holding.execute("ANALYZE @")
        holdings.append(holding)
    stage.complete("encrypt", *(name for each in holdings for name in each.field_names))
    stage.rotate()
    run = stage.complete()
    assert {piece[0] for piece in ranges(stage, run.run_id)} == {by_blocks}
    for holding in holdings:
        assert holding.numbers() == Counter({2: holding.count_values()}), holding.name
        holding.assert_nothing_lost()


def ranges(stage: Stage, run_id: int) -> list[Any]:
    """Return what is to be known of the ranges of our table in the first pass."""
    return stage.connection.execute(
        "SELECT by_blocks, lower_bound, upper_bound FROM keywright.reencryption_range"
        " WHERE run_id = %s AND pass = 1 AND NOT field_ids && ARRAY("
        "SELECT field_id FROM keywright.encrypted_field WHERE table_schema = 'keywright')"
        " ORDER BY range_id",
        [run_id],
    ).fetchall()


def test_a_large_table_is_divided_into_ranges_that_leave_nothing_out(stage: Stage) -> None:
    holding = Holding(stage).create().fill_numbers(1500)
    holding.execute("ANALYZE @")
    stage.rotate()
    pieces = ranges(stage, stage.complete().run_id)
    assert len(pieces) > 3
    assert (pieces[0][1], pieces[-1][2]) == (None, None)
    assert [piece[2] for piece in pieces[:-1]] == [piece[1] for piece in pieces[1:]]
    assert holding.numbers() == Counter({2: holding.count_values()})


def test_rows_in_random_order_are_rewritten_in_physical_order(stage: Stage) -> None:
    holding = Holding(stage, keys={"id": "uuid"}).create().fill([(uuid4(),) for _ in range(1500)])
    holding.execute("ANALYZE @")
    stage.rotate()
    pieces = ranges(stage, stage.complete().run_id)
    assert len(pieces) > 3
    assert all(by_blocks for by_blocks, _, _ in pieces)
    assert holding.numbers() == Counter({2: holding.count_values()})
    holding.assert_nothing_lost()


def test_a_table_that_was_never_analysed(stage: Stage) -> None:
    holding = Holding(stage, suffix="WITH (autovacuum_enabled = false)").create()
    holding.fill_numbers(500)
    stage.rotate()
    run = stage.complete()
    assert all(by_blocks for by_blocks, _, _ in ranges(stage, run.run_id))
    assert run.plan is not None
    [plan] = [each for each in run.plan["tables"] if each["table"].startswith(stage.name)]
    assert 100 < plan["wal_bytes"] / plan["due_rows"] < 1000
    assert 0 <= plan["heap_growth"] < 1
    assert holding.numbers() == Counter({2: holding.count_values()})


def test_a_partitioned_table_goes_by_its_key(stage: Stage) -> None:
    holding = Holding(stage, suffix="PARTITION BY RANGE (id)").create(state="plaintext")
    for n in range(3):
        holding.execute(
            f"CREATE TABLE {stage.name}.customer_{n} PARTITION OF @"
            f" FOR VALUES FROM ({n * 300}) TO ({n * 300 + 300})"
        )
    holding.fill_numbers(850)
    holding.execute("ANALYZE @")
    stage.complete("encrypt", *holding.field_names)
    stage.rotate()
    pieces = ranges(stage, stage.complete().run_id)
    assert len(pieces) > 1
    assert not any(by_blocks for by_blocks, _, _ in pieces)
    assert holding.numbers() == Counter({2: holding.count_values()})
    holding.assert_nothing_lost()


def test_a_table_in_another_database(stage: Stage) -> None:
    columns = {"card": "bytea", "name": "text"}
    holding = Holding(stage, connection_name="billing", columns=columns)
    holding.create(state="plaintext").fill_numbers(200)
    go_through(holding)


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_database_with_stricter_transactions_of_its_own(stage: Stage, level: str) -> None:
    with psycopg.connect(stage.connections.conninfo("billing"), autocommit=True) as there:
        there.execute(
            f"ALTER DATABASE {there.info.dbname} SET default_transaction_isolation = '{level}'"
        )
        try:
            holding = Holding(stage, connection_name="billing").create(state="plaintext")
            go_through(holding.fill_numbers(200))
        finally:
            there.execute(f"ALTER DATABASE {there.info.dbname} RESET default_transaction_isolation")


def test_names_that_need_quoting(stage: Stage) -> None:
    holding = Holding(
        stage,
        schema='The "shop"',
        name='Cu"stomer, old',
        keys={'The "Id"': "bigint", "order": "integer"},
        columns={"Card No.": "bytea", 'na"me': "text"},
        owner_column="Tenant Id",
    )
    holding.create(state="plaintext").fill([(n, -n) for n in range(200)])
    go_through(holding)


def test_values_of_another_organization_stay_bit_for_bit(stage: Stage) -> None:
    holding = Holding(stage).create().fill_numbers(200)
    holding.fill_numbers(300, first=1001, owner=stage.globex)
    before = holding.stored(stage.globex)
    stage.rotate()
    stage.rotate(stage.globex)
    stage.complete()
    assert holding.numbers() == Counter({2: holding.count_values()})
    assert holding.stored(stage.globex) == before
    holding.assert_nothing_lost()
