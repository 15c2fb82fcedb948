"""Rows as columns: what was read, and what of it is to be written. Pure.

Column by column, because keys, ciphertexts and parameters are made from whole columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workers.reencryption.arrays import array_of
from workers.reencryption.tables import Table

Columns = list[list[Any]]


def columns_of(rows: Sequence[Sequence[Any]]) -> Columns:
    """Return rows, of which there is one at least, as columns."""
    # Not zip(*rows): with many thousand rows that is several times as slow.
    return [[row[i] for row in rows] for i in range(len(rows[0]))]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are due: their keys, the values that were read, those to take their place."""

    keys: Columns
    old: Columns
    new: Columns

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.keys[0])

    def parameters(self, indices: range, table: Table) -> dict[str, Any]:
        """Return some of the rows as the arrays of ``Statements.write``: k1, …, o1, …, n1, …."""
        part = slice(indices.start, indices.stop, indices.step)
        values = [field.column_type for field in table.fields]
        types: tuple[Sequence[str], ...] = (table.key_types, values, values)
        return {
            f"{kind}{number}": array_of(column[part], type_name)
            for kind, columns, names in zip(
                "kon", (self.keys, self.old, self.new), types, strict=True
            )
            for number, (column, type_name) in enumerate(zip(columns, names, strict=True), 1)
        }


def batch_of_due(keys: Columns, old: Columns, new: Sequence[list[Any]]) -> Batch:
    """Return the rows with a new value; in ``new`` None is for values that stay as they are."""
    if len(new) == 1 and None not in new[0]:  # as nearly always
        return Batch(keys, old, [new[0]])
    due = [i for i, row in enumerate(zip(*new, strict=True)) if row != (None,) * len(new)]
    return Batch(
        [[column[i] for i in due] for column in keys],
        [[column[i] for i in due] for column in old],
        [
            [after[i] if after[i] is not None else before[i] for i in due]
            for after, before in zip(new, old, strict=True)
        ],
    )
