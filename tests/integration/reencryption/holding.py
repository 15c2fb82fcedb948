"""A table with encrypted columns, and what its values ought to be: the model of every test."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import psycopg
from psycopg.sql import SQL, Identifier

from tests.integration.reencryption.rows import Key, Rows, Values
from workers.database.pool import Connection
from workers.encryption import registration
from workers.encryption.registration import FieldRequest
from workers.encryption.registry import FieldState, find_field


def value_of(number: int, column_type: str) -> Any:
    """Return what row ``number`` holds: every seventh nothing, some empty, some long."""
    if number % 7 == 3:
        return None
    text = "" if number % 11 == 5 else f"№ {number} — " + "long " * (900 if number % 97 == 8 else 3)
    return text.encode() if column_type == "bytea" else text


@dataclass
class Holding(Rows):
    """A table that its application writes to, through the cipher or past it."""

    # ---------------------------------------------------------------------------------- making

    def create(self, *, state: FieldState = "encrypted") -> Self:
        """Make the table, and register its columns."""
        parts = [SQL("{} {}").format(Identifier(n), SQL(t)) for n, t in self._all_columns()]
        parts.append(SQL("PRIMARY KEY ({})").format(self._keys()))
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute(
                SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(self.schema))
            )
            connection.execute(
                SQL("CREATE TABLE {} ({}) {}").format(
                    self.table, SQL(", ").join(parts), SQL(self.suffix)
                )
            )
        self.register(state=state)
        return self

    def register(self, *, state: FieldState = "encrypted") -> None:
        """Register the columns, and put them into a state."""
        for column in self.columns:
            registration.register_column(
                self.stage.connection,
                self.stage.connections,
                self.stage.keyring,
                FieldRequest(
                    field_name=self.field_name(column),
                    table_schema=self.schema,
                    table_name=self.name,
                    column_name=column,
                    connection_name=self.connection_name,
                    organization_column=self.owner_column,
                    organization_id=self.stage.acme if self.owner_column is None else None,
                ),
            )
        self.put_into(state)

    def put_into(self, state: FieldState) -> None:
        """Put all its fields into a state, as a run would in the end."""
        self.stage.connection.execute(
            "UPDATE keywright.encrypted_field SET state = %s WHERE field_name = ANY (%s)",
            [state, self.field_names],
        )

    def state(self, column: str = "card") -> str:
        """Return the state of a field."""
        return find_field(self.stage.connection, self.field_name(column)).state

    # --------------------------------------------------------------------------------- writing

    def fill(self, rows: Iterable[Key], *, owner: int | None = None) -> Self:
        """Insert rows as an application does, each with values of its own."""
        owner = owner or self.stage.acme
        known = self.expected.setdefault(owner, {})
        first = len(known)
        new: dict[Key, dict[str, Any]] = {
            key: {
                column: value_of(n + 2 * i, kind)
                for i, (column, kind) in enumerate(self.columns.items())
            }
            for n, key in enumerate(rows, first)
        }
        with self.stage.application(self.conninfo) as connection:
            self.write_rows(connection, new, owner=owner)
        known.update(new)
        return self

    def fill_numbers(self, count: int, *, first: int = 1, owner: int | None = None) -> Self:
        """Insert rows with integers for keys."""
        return self.fill([(n,) for n in range(first, first + count)], owner=owner)

    def write_rows(
        self, connection: Connection, rows: Mapping[Key, Values], *, owner: int | None = None
    ) -> None:
        """Insert rows in a transaction of the caller's."""
        owner = owner or self.stage.acme
        stored: dict[str, list[Any]] = {}
        with self.stage.cipher.writing(connection, organization_id=owner) as writer:
            for column in self.columns:
                stored[column] = writer.encrypt_many(
                    self.field_name(column), [(key, row[column]) for key, row in rows.items()]
                )
        names = [name for name, _ in self._all_columns()]
        query = SQL("INSERT INTO {} ({}) VALUES ({})").format(
            self.table,
            SQL(", ").join(map(Identifier, names)),
            SQL(", ").join([SQL("%s")] * len(names)),
        )
        lines = []
        for n, key in enumerate(rows):
            owners = [] if self.owner_column is None else [owner]
            lines.append([*key, *owners, *(stored[column][n] for column in self.columns), "note"])
        connection.cursor().executemany(query, lines)

    def update(self, key: Key, values: Values, *, owner: int | None = None) -> None:
        """Give a row other values, as an application does."""
        owner = owner or self.stage.acme
        with self.stage.application(self.conninfo) as connection:
            with self.stage.cipher.writing(connection, organization_id=owner) as writer:
                stored = {
                    column: writer.encrypt(self.field_name(column), row=key, value=value)
                    for column, value in values.items()
                }
            self.store(connection, key, stored)
        self.expected[owner][key] |= values

    def move(self, key: Key, to: Key, *, owner: int | None = None) -> None:
        """Give a row another primary key; its values are encrypted anew for it."""
        owner = owner or self.stage.acme
        with self.stage.application(self.conninfo) as connection:
            with self.stage.cipher.writing(connection, organization_id=owner) as writer:
                old = self.read(connection, key, lock=True)
                new = {}
                for column in self.columns:
                    name = self.field_name(column)
                    opened = self.stage.cipher.decrypt(
                        name, organization_id=owner, row=key, value=old[column]
                    )
                    new[column] = writer.encrypt(name, row=to, value=opened)
            assignments = [
                SQL("{} = {}").format(Identifier(n), SQL(f"%s::{kind}"))
                for n, kind in self.keys.items()
            ]
            assignments += [SQL("{} = %s").format(Identifier(column)) for column in new]
            connection.execute(
                SQL("UPDATE {} SET {} WHERE {}").format(
                    self.table, SQL(", ").join(assignments), self._where()
                ),
                [*to, *new.values(), *key],
            )
        self.expected[owner][to] = self.expected[owner].pop(key)

    def delete(self, key: Key, *, owner: int | None = None) -> None:
        """Delete a row."""
        with self.stage.application(self.conninfo) as connection:
            connection.execute(
                SQL("DELETE FROM {} WHERE {}").format(self.table, self._where()), list(key)
            )
        del self.expected[owner or self.stage.acme][key]

    def store(self, connection: Connection, key: Key, stored: Values) -> None:
        """Write values just as they are given, past the cipher."""
        connection.execute(
            SQL("UPDATE {} SET {} WHERE {}").format(
                self.table,
                SQL(", ").join(SQL("{} = %s").format(Identifier(column)) for column in stored),
                self._where(),
            ),
            [*stored.values(), *key],
        )

    def spoil(self, key: Key, value: Any, *, column: str = "card") -> None:
        """Write a value past the cipher, in a transaction of its own."""
        with self.stage.application(self.conninfo) as connection:
            self.store(connection, key, {column: value})
