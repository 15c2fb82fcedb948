"""The SQL of a run over one table: composed once per table, executed very often.

Every value that is read or written goes in binary. Nothing here depends on the order of rows within
a table, so nothing is lost when rows move; what a pass misses, the next one finds by its header.
"""

from base64 import b64decode
from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Composed, Identifier
from psycopg.sql import Literal as Constant

from workers.encryption.ciphertext import (
    FORMAT_BYTE,
    HEADER_BYTES,
    MAGIC,
    OVERHEAD,
    ColumnType,
    header,
    header_text,
)
from workers.reencryption.tables import Table

_MARK = bytes((MAGIC, FORMAT_BYTE))
_MARK_TEXT = header_text(1)[:3]
_SHORTEST_TEXT = 4 * ((OVERHEAD + 2) // 3)


class Statements:
    """The statements for a table, an organization and the key that values are to be under.

    ``target_number`` None: values are to be plaintext, and what names one of ``known_numbers``, the
    organization's keys, is none yet. Plaintext that only looks like a ciphertext names none.
    """

    def __init__(
        self,
        table: Table,
        *,
        organization_id: int,
        target_number: int | None,
        known_numbers: Sequence[int] = (),
    ) -> None:
        self._table = table
        self._organization_id = organization_id
        self._target_number = target_number
        self._known_numbers = known_numbers
        self._keys = [_column(each) for each in table.key_columns]
        self._columns = [_column(field.column_name) for field in table.fields]
        self._types: list[ColumnType] = [field.column_type for field in table.fields]
        self._name = Identifier(table.schema, table.name)

    # ------------------------------------------------------------------------------ what is due

    def _due(self, column: Composable, column_type: ColumnType) -> Composed:
        """Whether a value is not yet as the run wants it."""
        if self._target_number is None:
            headers = [
                header(number) if column_type == "bytea" else header_text(number)
                for number in self._known_numbers
            ]
            return SQL("({} = ANY ({}) AND {})").format(
                _beginning(column, column_type),
                Constant(headers),
                _is_ciphertext(column, column_type),
            )
        if column_type == "bytea":
            target: bytes | str = header(self._target_number)
        else:
            target = header_text(self._target_number)
        return SQL("{} <> {}").format(_beginning(column, column_type), Constant(target))

    def _any_due(self) -> Composed:
        due = [self._due(*each) for each in zip(self._columns, self._types, strict=True)]
        return SQL("({})").format(SQL(" OR ").join(due))

    def _any_there(self) -> Composed:
        there = [SQL("{} IS NOT NULL").format(column) for column in self._columns]
        return SQL("({})").format(SQL(" OR ").join(there))

    def _owned(self) -> Composed:
        if self._table.organization_column is None:
            return Composed([SQL("true")])
        return SQL("{} = {}").format(
            _column(self._table.organization_column), Constant(self._organization_id)
        )

    # --------------------------------------------------------------------------------- reading

    def read_blocks(self, *, all_values: bool) -> Composed:
        """Rows of the blocks from %(lower)s up to, and without, %(upper)s; in physical order."""
        return SQL(
            "SELECT {columns} FROM {table} AS t"
            " WHERE t.ctid >= %(lower)s::tid AND t.ctid < %(upper)s::tid AND {owned} AND {due}"
        ).format(
            columns=SQL(", ").join([*self._keys, *self._columns]),
            table=self._name,
            owned=self._owned(),
            due=self._any_there() if all_values else self._any_due(),
        )

    def read_keys(
        self, *, all_values: bool, after: bool, upper: bool, from_lower: bool
    ) -> Composed:
        """%(limit)s rows in the order of the key, from and up to the bounds that there are."""
        conditions: list[Composable] = [self._owned()]
        if after or from_lower:
            sign = SQL(">") if after else SQL(">=")
            conditions.append(self._compare(sign, "lower"))
        if upper:
            conditions.append(self._compare(SQL("<"), "upper"))
        conditions.append(self._any_there() if all_values else self._any_due())
        return SQL(
            "SELECT {columns} FROM {table} AS t WHERE {conditions} ORDER BY {keys} LIMIT %(limit)b"
        ).format(
            columns=SQL(", ").join([*self._keys, *self._columns]),
            table=self._name,
            conditions=SQL(" AND ").join(conditions),
            keys=SQL(", ").join(self._keys),
        )

    def _compare(self, sign: SQL, name: str) -> Composed:
        values = [
            SQL("(%({})b::text[])[{}]::{}").format(
                SQL(name),
                Constant(position),
                SQL(key_type),
            )
            for position, key_type in enumerate(self._table.key_types, 1)
        ]
        return SQL("({}) {} ({})").format(SQL(", ").join(self._keys), sign, SQL(", ").join(values))

    # --------------------------------------------------------------------------------- writing

    def write(self, *, only_if: Composable | None = None) -> Composed:
        """Replace values that are still what was read; everything in one statement.

        Parameters: the keys' columns as arrays (k1, …), old values (o1, …) and new ones (n1, …).
        Under READ COMMITTED a row that somebody else is changing is looked at again once they are
        through, and left alone if its value is another by then.
        """
        names = [f"k{i}" for i in range(1, len(self._keys) + 1)]
        types: list[str] = list(self._table.key_types)
        for kind in ("o", "n"):
            names += [f"{kind}{i}" for i in range(1, len(self._types) + 1)]
            types += self._types
        matches = [SQL("{} = s.k{}").format(key, i) for i, key in enumerate(self._keys, 1)]
        if len(self._keys) == 1:
            # One walk through the index finds them all, instead of one from its root for each.
            matches.append(SQL("{} = ANY (%(k1)b::{}[])").format(self._keys[0], SQL(types[0])))
        same = SQL("=") if len(self._columns) == 1 else SQL("IS NOT DISTINCT FROM")
        return SQL(
            # Not FROM unnest(…), which would write every array down before the first row is found.
            "UPDATE {table} AS t SET {assignments} FROM (SELECT {arrays}) AS s"
            " WHERE {keys} AND {unchanged} AND {owned} AND {only_if}"
        ).format(
            table=self._name,
            assignments=SQL(", ").join(
                SQL("{} = s.n{}").format(Identifier(field.column_name), i)
                for i, field in enumerate(self._table.fields, 1)
            ),
            arrays=SQL(", ").join(
                SQL("unnest(%({})b::{}[]) AS {}").format(SQL(name), SQL(of_type), Identifier(name))
                for name, of_type in zip(names, types, strict=True)
            ),
            keys=SQL(" AND ").join(matches),
            unchanged=SQL(" AND ").join(
                SQL("{} {} s.o{}").format(each, same, i) for i, each in enumerate(self._columns, 1)
            ),
            owned=self._owned(),
            only_if=only_if or SQL("true"),
        )

    def write_and_record(self) -> Composed:
        """``write`` and its record in the range, locked at once so that nobody takes it over."""
        return SQL(
            "WITH written AS ({write} RETURNING 1)"
            " UPDATE keywright.reencryption_range"
            " SET rewritten = rewritten + rows, conflicts = conflicts + %(asked)b - rows"
            " FROM (SELECT count(*) AS rows FROM written) AS counted"
            " WHERE range_id = %(range_id)b AND claim = %(claim)b"
        ).format(
            write=self.write(
                only_if=SQL(
                    "EXISTS (SELECT FROM keywright.reencryption_range"
                    " WHERE range_id = %(range_id)b AND claim = %(claim)b FOR NO KEY UPDATE)"
                )
            )
        )

    # -------------------------------------------------------------------------------- counting

    def census(self, index: int) -> Composed:
        """How many values of one field each key has: header, count; NULL is no ciphertext."""
        column, column_type = self._columns[index], self._types[index]
        return SQL(
            "SELECT CASE WHEN {is_ciphertext} THEN {beginning} END, count(*) FROM {table} AS t"
            " WHERE {owned} AND {column} IS NOT NULL GROUP BY 1"
        ).format(
            is_ciphertext=_is_ciphertext(column, column_type),
            beginning=_beginning(column, column_type),
            table=self._name,
            owned=self._owned(),
            column=column,
        )

    def count_due(self, index: int) -> Composed:
        """How many values of one field are due, but for those in quarantine that are unchanged.

        Parameters: their keys as text arrays (k1, …) and the hashes of their values.
        """
        names = [f"k{i}" for i in range(1, len(self._keys) + 1)]
        column, column_type = self._columns[index], self._types[index]
        return SQL(
            "SELECT count(*) FROM {table} AS t WHERE {owned} AND {due} AND NOT EXISTS ("
            "SELECT FROM unnest({arrays}, %(hashes)b::bytea[]) AS q ({names}, hash)"
            " WHERE {keys} AND q.hash = {hash})"
        ).format(
            table=self._name,
            owned=self._owned(),
            due=self._due(column, column_type),
            arrays=SQL(", ").join(SQL("%({})b::text[]").format(SQL(name)) for name in names),
            names=SQL(", ").join(map(Identifier, names)),
            keys=SQL(" AND ").join(
                SQL("{} = q.{}::{}").format(key, Identifier(name), SQL(key_type))
                for key, name, key_type in zip(
                    self._keys, names, self._table.key_types, strict=True
                )
            ),
            hash=_hash(column, column_type),
        )

    def others_hold(self, index: int, *, ciphertext: bool) -> Composed:
        """Whether other organizations have values of one field that are, or are no, ciphertext."""
        owner = self._table.organization_column
        column, column_type = self._columns[index], self._types[index]
        return SQL(
            "SELECT EXISTS (SELECT FROM {table} AS t"
            " WHERE {others} AND {column} IS NOT NULL AND {is_ciphertext} = {ciphertext})"
        ).format(
            table=self._name,
            others=SQL("false")
            if owner is None
            else SQL("{} <> {}").format(_column(owner), Constant(self._organization_id)),
            column=column,
            is_ciphertext=_is_ciphertext(column, column_type),
            ciphertext=Constant(ciphertext),
        )

    def others_with_the_same_value(self, index: int) -> Composed:
        """Find the rows that hold one of %(values)s: their keys, and the value."""
        return SQL(
            "SELECT {keys}, {column} FROM {table} AS t WHERE {column} = ANY (%(values)b)"
        ).format(keys=SQL(", ").join(self._keys), column=self._columns[index], table=self._name)


def _column(name: str) -> Composed:
    return SQL("t.{}").format(Identifier(name))


def _beginning(column: Composable, column_type: ColumnType) -> Composed:
    """Return where the header of a ciphertext stands."""
    if column_type == "bytea":
        return SQL("substring({} FROM 1 FOR 6)").format(column)
    return SQL('left({}, 8) COLLATE "C"').format(column)


def _is_ciphertext(column: Composable, column_type: ColumnType) -> Composed:
    """Whether a value has the mark of a ciphertext, and could be as short as that."""
    if column_type == "bytea":
        return SQL("(substring({} FROM 1 FOR 2) = {} AND octet_length({}) >= {})").format(
            column, Constant(_MARK), column, Constant(OVERHEAD)
        )
    return SQL('(left({}, 3) COLLATE "C" = {} AND length({}) >= {})').format(
        column, Constant(_MARK_TEXT), column, Constant(_SHORTEST_TEXT)
    )


def _hash(column: Composable, column_type: ColumnType) -> Composed:
    if column_type == "bytea":
        return SQL("sha256({})").format(column)
    return SQL("sha256(convert_to({}, 'UTF8'))").format(column)


def header_number(beginning: bytes | str | None) -> int | None:
    """Return the key number that a header of ``census`` names; None: it only looks like one."""
    if isinstance(beginning, str):
        try:
            beginning = b64decode(beginning, validate=True)
        except ValueError:
            return None
    if beginning is None or len(beginning) < HEADER_BYTES:
        return None
    return int.from_bytes(beginning[2:HEADER_BYTES], "big") or None


def key_parameters(rows: Sequence[Sequence[str]], keys: int) -> dict[str, list[str]]:
    """Return row keys in text as the parameters k1, … of a statement."""
    return {f"k{i + 1}": [row[i] for row in rows] for i in range(keys)}
