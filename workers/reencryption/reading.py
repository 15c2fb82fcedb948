"""Reading a range piece by piece: in the order of blocks, or of keys.

A reader goes on where the range's position says, and says after each piece how far it is.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from psycopg.sql import Identifier

from workers.database.pool import Connection
from workers.reencryption.ranges import Range
from workers.reencryption.statements import Statements
from workers.reencryption.tables import Table, key_text

Row = tuple[Any, ...]

ROWS_PER_STATEMENT = 2000

_FIRST_BLOCKS = 64
_MOST_BLOCKS = 4096


class Reader(Protocol):
    """Yields the rows of a range; each row is its key columns, then its encrypted ones."""

    position: Any
    """Up to where it has read, for the range's record."""

    is_through: bool
    """Whether there is nothing more to read."""

    def read(self, about: int) -> Sequence[Row]:
        """Return the next rows, ``about`` as many as asked for, perhaps none."""


def open_reader(
    connection: Connection, table: Table, statements: Statements, piece: Range
) -> Reader:
    """Return the reader for a range, at its position."""
    if piece.by_blocks:
        return BlockReader(connection, table, statements, piece)
    return KeyReader(connection, table, statements, piece)


def read_piece(reader: Reader, about: int) -> Sequence[Row]:
    """Return the next rows of a range, ``about`` as many as asked for, perhaps none.

    Read by short statements: while one runs, its snapshot keeps others from pruning what they
    have just replaced, so a long one would let the table grow.
    """
    piece: list[Row] = []
    while len(piece) < about and not reader.is_through:
        rows = reader.read(min(ROWS_PER_STATEMENT, about - len(piece)))
        if not rows:
            break  # much was looked at in vain: time to see what else is going on
        piece += rows
    return piece


class BlockReader:
    """Reads blocks in physical order (TID range scan): each page is visited once."""

    def __init__(
        self, connection: Connection, table: Table, statements: Statements, piece: Range
    ) -> None:
        self.position: int = piece.position or piece.lower_bound or 0
        self._connection = connection
        self._upper = piece.upper_bound
        self._name = Identifier(table.schema, table.name).as_string(connection)
        self._query = statements.read_blocks(all_values=piece.is_check).as_string(connection)
        self._cursor = connection.cursor(binary=True)
        self._blocks = _FIRST_BLOCKS
        self.is_through = False

    def read(self, about: int) -> Sequence[Row]:
        """Return the due rows of the next blocks."""
        upper = self._end() if self._upper is None else self._upper
        until = max(self.position, min(self.position + self._blocks, upper))
        rows = self._cursor.execute(
            self._query, {"lower": f"({self.position},0)", "upper": f"({until},0)"}
        ).fetchall()
        blocks = until - self.position
        self.position = until
        self.is_through = until >= upper
        wanted = blocks * about // len(rows) if rows else 2 * blocks
        self._blocks = max(1, min(_MOST_BLOCKS, wanted, 2 * self._blocks))
        return rows

    def _end(self) -> int:
        row: Any = self._connection.execute(
            "SELECT pg_relation_size(%(name)s::regclass) / current_setting('block_size')::integer",
            {"name": self._name},
        ).fetchone()
        return int(row[0])


class KeyReader:
    """Reads in the order of the key (keyset pagination): each row is found in its index."""

    def __init__(
        self, connection: Connection, table: Table, statements: Statements, piece: Range
    ) -> None:
        self.position: list[str] | None = piece.position
        self._keys = len(table.key_columns)
        self._cursor = connection.cursor(binary=True)
        self._lower = piece.lower_bound
        self._upper = piece.upper_bound
        self._connection = connection
        self._statements = statements
        self._all_values = piece.is_check
        self.is_through = False

    def read(self, about: int) -> Sequence[Row]:
        """Return the next due rows."""
        query = self._statements.read_keys(
            all_values=self._all_values,
            after=self.position is not None,
            from_lower=self._lower is not None,
            upper=self._upper is not None,
        ).as_string(self._connection)
        rows = self._cursor.execute(
            query,
            {"lower": self.position or self._lower, "upper": self._upper, "limit": about},
        ).fetchall()
        self.is_through = len(rows) < about
        if rows:
            self.position = [key_text(value) for value in rows[-1][: self._keys]]
        return rows
