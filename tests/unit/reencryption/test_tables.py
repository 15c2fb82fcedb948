"""Fields by table, and key values as text."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from workers.encryption.registry import EncryptedField
from workers.reencryption.tables import by_table, key_text


def field(name: str, **changes: Any) -> EncryptedField:
    values: dict[str, Any] = {
        "field_name": name,
        "connection_name": None,
        "table_schema": "public",
        "table_name": "customer",
        "column_name": name,
        "column_type": "bytea",
        "key_columns": ["id"],
        "key_types": ["bigint"],
        "organization_column": "tenant",
        "organization_id": None,
        "field_id": uuid4(),
        "state": "encrypted",
        "registered_at": datetime(2026, 3, 1, tzinfo=UTC),
        **changes,
    }
    return EncryptedField(**values)


def test_columns_of_one_table_go_together() -> None:
    fields = [field("card"), field("iban", table_name="invoice"), field("name")]
    tables = by_table(fields)
    assert [table.field_ids for table in tables] == [
        [fields[0].field_id, fields[2].field_id],
        [fields[1].field_id],
    ]
    assert [table.qualified for table in tables] == ["public.customer", "public.invoice"]


@pytest.mark.parametrize(
    "changes",
    [
        {"connection_name": "billing"},
        {"table_schema": "other"},
        {"table_name": "other"},
        {"key_columns": ["region", "id"], "key_types": ["text", "bigint"]},
        {"organization_column": "owner"},
        {"organization_column": None, "organization_id": 7},
    ],
)
def test_what_is_found_or_owned_in_another_way_goes_apart(changes: dict[str, Any]) -> None:
    assert len(by_table([field("card"), field("name", **changes)])) == 2


def test_no_fields_are_no_tables() -> None:
    assert by_table([]) == []


def test_a_table_elsewhere_says_where() -> None:
    [table] = by_table([field("card", connection_name="billing")])
    assert table.qualified == "billing:public.customer"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-5, "-5"),
        ("Zoë", "Zoë"),
        (b"\x00\xff", "\\x00ff"),
        (b"", "\\x"),
        (True, "true"),
        (False, "false"),
        (Decimal("1.50"), "1.50"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(2026, 3, 1), "2026-03-01"),
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00+00:00"),
    ],
)
def test_a_key_is_written_as_postgres_reads_it(value: Any, text: str) -> None:
    assert key_text(value) == text
