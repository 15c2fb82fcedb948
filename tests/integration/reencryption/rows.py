"""A table with encrypted columns: its names, and its values as an application reads them."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from tests.integration.reencryption.stage import Stage
from workers.database.pool import Connection
from workers.encryption.ciphertext import named_key
from workers.errors import PermanentError

Key = tuple[Any, ...]
Values = Mapping[str, Any]


@dataclass
class Rows:
    """A table of the first organization, or of several with an organization column.

    ``columns`` are the encrypted ones with their types, ``keys`` the columns of the primary key.
    ``expected`` has the plaintext of every row by organization and key.
    """

    stage: Stage
    name: str = "customer"
    schema: str = ""
    keys: Mapping[str, str] = field(default_factory=lambda: {"id": "bigint"})
    columns: Mapping[str, str] = field(default_factory=lambda: {"card": "bytea"})
    owner_column: str | None = "tenant"
    connection_name: str | None = None
    suffix: str = ""
    expected: dict[int, dict[Key, dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.schema = self.schema or self.stage.name

    @property
    def conninfo(self) -> str:
        """Where its database is."""
        return self.stage.connections.conninfo(self.connection_name)

    @property
    def table(self) -> Identifier:
        """Its name in SQL."""
        return Identifier(self.schema, self.name)

    def field_name(self, column: str) -> str:
        """Return the name under which a column is registered."""
        plain = re.sub("[^a-z]", "", f"{self.name}{column}")
        return f"{self.stage.name}.{plain}"

    def execute(self, statement: str) -> list[Any]:
        """Execute a statement in its database, in which ``@`` stands for the table."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            cursor = connection.execute(
                SQL(statement.replace("@", "{}")).format(*[self.table] * statement.count("@"))
            )
            return cursor.fetchall() if cursor.description else []

    @property
    def field_names(self) -> list[str]:
        """The names of all its fields."""
        return [self.field_name(column) for column in self.columns]

    def _all_columns(self) -> Iterable[tuple[str, str]]:
        yield from self.keys.items()
        if self.owner_column is not None:
            yield self.owner_column, "bigint"
        yield from self.columns.items()
        yield "note", "text"

    def _keys(self) -> Composed:
        return SQL(", ").join(map(Identifier, self.keys))

    def _where(self) -> Composed:
        return SQL(" AND ").join(
            SQL("{} = {}").format(Identifier(name), SQL(f"%s::{kind}"))
            for name, kind in self.keys.items()
        )

    # --------------------------------------------------------------------------------- reading

    def read(self, connection: Connection, key: Key, *, lock: bool = False) -> dict[str, Any]:
        """Return the stored values of a row."""
        row = connection.execute(
            SQL("SELECT {} FROM {} WHERE {} {}").format(
                SQL(", ").join(map(Identifier, self.columns)),
                self.table,
                self._where(),
                SQL("FOR UPDATE" if lock else ""),
            ),
            list(key),
        ).fetchone()
        assert row is not None
        return dict(zip(self.columns, row, strict=True))

    def value(self, key: Key, column: str = "card") -> Any:
        """Return one stored value."""
        with self.stage.application(self.conninfo) as connection:
            return self.read(connection, key)[column]

    def stored(self, owner: int | None = None) -> dict[Key, dict[str, Any]]:
        """Return the stored values of all rows of an organization."""
        owner = owner or self.stage.acme
        owned = SQL("true") if self.owner_column is None else SQL("{} = %(owner)s")
        with self.stage.application(self.conninfo) as connection:
            rows = connection.execute(
                SQL("SELECT {}, {} FROM {} WHERE {}").format(
                    self._keys(),
                    SQL(", ").join(map(Identifier, self.columns)),
                    self.table,
                    owned.format(Identifier(self.owner_column or "")),
                ),
                {"owner": owner},
            ).fetchall()
        count = len(self.keys)
        return {row[:count]: dict(zip(self.columns, row[count:], strict=True)) for row in rows}

    def opened(self, owner: int | None = None) -> dict[Key, dict[str, Any]]:
        """Return all values of an organization as an application reads them, or why it cannot."""
        owner = owner or self.stage.acme
        stored = self.stored(owner)
        opened: dict[Key, dict[str, Any]] = {key: {} for key in stored}
        for column in self.columns:
            values = self.stage.cipher.decrypt_many(
                self.field_name(column),
                organization_id=owner,
                values=[(key, row[column]) for key, row in stored.items()],
            )
            for key, value in zip(stored, values, strict=True):
                opened[key][column] = value
        return opened

    def assert_nothing_lost(self) -> None:
        """Every row has the values that it ought to have, and opens; there is no other row."""
        for owner, expected in self.expected.items():
            opened = self.opened(owner)
            wrong = [
                (key, column, value)
                for key, row in opened.items()
                for column, value in row.items()
                if isinstance(value, PermanentError) or expected.get(key, {}).get(column) != value
            ]
            assert wrong == []
            assert opened.keys() == expected.keys()

    def numbers(self, owner: int | None = None) -> Counter[int | None]:
        """Count the values that there are by the key that they name; None: plaintext."""
        return Counter(
            named_key(value)
            for row in self.stored(owner).values()
            for value in row.values()
            if value is not None
        )

    def count_values(self, owner: int | None = None) -> int:
        """Return how many values an organization ought to have."""
        expected = self.expected[owner or self.stage.acme]
        return sum(value is not None for row in expected.values() for value in row.values())

    def count_rows(self, owner: int | None = None) -> int:
        """Return in how many rows an organization ought to have any."""
        expected = self.expected[owner or self.stage.acme]
        return sum(any(v is not None for v in row.values()) for row in expected.values())
