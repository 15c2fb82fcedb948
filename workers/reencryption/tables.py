"""Encrypted fields by table: columns of one table are read and written together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from workers.encryption.registry import EncryptedField


@dataclass(frozen=True)
class Table:
    """A table with some of its encrypted fields; all of them have the same keys and owner."""

    fields: tuple[EncryptedField, ...]

    @property
    def connection_name(self) -> str | None:
        """The database it is in; None is keywright's own."""
        return self.fields[0].connection_name

    @property
    def schema(self) -> str:
        """The schema it is in."""
        return self.fields[0].table_schema

    @property
    def name(self) -> str:
        """Its name in the schema."""
        return self.fields[0].table_name

    @property
    def key_columns(self) -> Sequence[str]:
        """The columns that tell its rows apart."""
        return self.fields[0].key_columns

    @property
    def key_types(self) -> Sequence[str]:
        """Their types, as Postgres names them."""
        return self.fields[0].key_types

    @property
    def organization_column(self) -> str | None:
        """The column that says whose a row is; None: they are all of one organization."""
        return self.fields[0].organization_column

    @property
    def field_ids(self) -> list[UUID]:
        """The ids of its fields."""
        return [field.field_id for field in self.fields]

    @property
    def qualified(self) -> str:
        """Its name as people say it, with the connection where that is another database."""
        place = f"{self.schema}.{self.name}"
        return place if self.connection_name is None else f"{self.connection_name}:{place}"


def by_table(fields: Iterable[EncryptedField]) -> list[Table]:
    """Group fields by table, in the order in which their tables appear."""
    grouped: dict[tuple[Any, ...], list[EncryptedField]] = {}
    for field in fields:
        place = (
            field.connection_name,
            field.table_schema,
            field.table_name,
            tuple(field.key_columns),
            field.organization_column,
            field.organization_id,
        )
        grouped.setdefault(place, []).append(field)
    return [Table(tuple(group)) for group in grouped.values()]


def key_text(value: Any) -> str:
    """Write a key value as text that Postgres reads back as the same value."""
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)
