"""Opening values here and now, beside any run: reads only, and asks no worker."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from workers.database.pool import Connection
from workers.encryption.bulk import FaultClass
from workers.encryption.registry import EncryptedField
from workers.encryption.row_keys import columns_encoder
from workers.reencryption.moved import MovedRows
from workers.reencryption.planning import divide, read_statistics
from workers.reencryption.ranges import NewRange, Range
from workers.reencryption.reading import Reader, Row, open_reader
from workers.reencryption.resealing import FieldResealer
from workers.reencryption.statements import Statements
from workers.reencryption.tables import Table, by_table, key_text
from workers.reencryption.tools import Tools

_ROWS_AT_A_TIME = 5_000
_MOST_EXAMPLES = 100


@dataclass(frozen=True, kw_only=True)
class Example:
    """A value that does not open."""

    field_name: str
    row_key: list[str]
    fault_class: FaultClass
    key_number: int | None


@dataclass(kw_only=True)
class Findings:
    """What opening values has led to so far; ``examples`` has the first that do not open."""

    organization_id: int
    values: Counter[str] = field(default_factory=Counter)
    unopened: dict[str, Counter[str]] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)

    @property
    def total_values(self) -> int:
        """How many values were looked at."""
        return self.values.total()

    @property
    def total_unopened(self) -> int:
        """How many of them do not open."""
        return sum(counted.total() for counted in self.unopened.values())

    def add(self, example: Example) -> None:
        """Count one that does not open."""
        self.unopened.setdefault(example.field_name, Counter())[example.fault_class] += 1
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append(example)


def verify_fields(
    tools: Tools, fields: Sequence[EncryptedField], findings: Findings
) -> Iterator[int]:
    """Open every value of fields; add to ``findings`` and yield how many were looked at by then.

    In a field that is being encrypted or decrypted, plaintext is as good as what opens.

    Raises:
        KeywrightError: a database or a root key cannot be asked.
    """
    for table in by_table(fields):
        with tools.connections.connect(table.connection_name, "verify") as connection:
            opener = _Opener(tools, table, connection, findings, takes_plaintext=None)
            for piece in divide(connection, table, read_statistics(connection, table)):
                reader = open_reader(connection, table, opener.statements, _whole(piece))
                while not reader.is_through:
                    opener.open(reader.read(_ROWS_AT_A_TIME))
                    yield findings.total_values


def open_sample(
    tools: Tools,
    fields: Sequence[EncryptedField],
    findings: Findings,
    *,
    takes_plaintext: bool,
    most_rows: int,
) -> None:
    """Open the values of up to ``most_rows`` rows per table, taken from all over it."""
    for table in by_table(fields):
        with tools.connections.connect(table.connection_name, "sample") as connection:
            opener = _Opener(tools, table, connection, findings, takes_plaintext=takes_plaintext)
            pieces = divide(connection, table, read_statistics(connection, table))
            left = most_rows
            for number, piece in enumerate(pieces):
                share = -(-left // (len(pieces) - number))
                reader = open_reader(connection, table, opener.statements, _whole(piece))
                rows = list(islice(_rows(reader, share), share))
                opener.open(rows)
                left -= len(rows)


def _rows(reader: Reader, about: int) -> Iterator[Row]:
    while not reader.is_through:
        yield from reader.read(about)


class _Opener:
    """Opens the values of rows of one table; ``takes_plaintext`` None: as each field's state."""

    def __init__(
        self,
        tools: Tools,
        table: Table,
        connection: Connection,
        findings: Findings,
        *,
        takes_plaintext: bool | None,
    ) -> None:
        connection.execute("SET default_transaction_read_only = on")
        self.statements = Statements(
            table, organization_id=findings.organization_id, target_number=None
        )
        self._table = table
        self._findings = findings
        self._encode = columns_encoder(table.key_types)
        self._moved = MovedRows(findings, table, self.statements, connection, tools)
        self._resealers = [
            FieldResealer(
                tools.keyring,
                each,
                organization_id=findings.organization_id,
                target_number=None,
                takes_plaintext=each.accepts_plaintext
                if takes_plaintext is None
                else takes_plaintext,
            )
            for each in table.fields
        ]

    def open(self, rows: Iterable[Row]) -> None:
        columns = list(zip(*rows, strict=True))
        if not columns:
            return
        count = len(self._table.key_columns)
        keys, stored = columns[:count], columns[count:]
        row_keys = self._encode(keys)
        for each, resealer, values in zip(self._table.fields, self._resealers, stored, strict=True):
            self._findings.values[each.field_name] += len(values) - values.count(None)
            faults = resealer.verify(row_keys, values)
            for fault in self._moved.recognize(each, keys, values, faults):
                self._findings.add(
                    Example(
                        field_name=each.field_name,
                        row_key=[key_text(column[fault.position]) for column in keys],
                        fault_class=fault.fault_class,
                        key_number=fault.key_number,
                    )
                )


def _whole(new: NewRange) -> Range:
    """Return a range that nobody has claimed, to be read from its start and for all its values."""
    return Range(
        field_ids=new.field_ids,
        by_blocks=new.by_blocks,
        lower_bound=new.lower_bound,
        upper_bound=new.upper_bound,
        range_id=0,
        is_check=True,
        pass_number=0,
        position=None,
    )
