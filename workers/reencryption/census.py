"""How many values each master key has: what proves that a run is through, and a key unused."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from workers.database.pool import Connection
from workers.encryption.connections import Connections
from workers.encryption.registry import EncryptedField
from workers.reencryption.quarantine import open_in_field
from workers.reencryption.statements import Statements, header_number, key_parameters
from workers.reencryption.store import known_numbers
from workers.reencryption.tables import Table, by_table


@dataclass(frozen=True, kw_only=True)
class Census:
    """The values of one field of one organization, counted by the key that they name.

    ``plaintext`` are those that are no ciphertext; NULL is not counted.
    """

    field_name: str
    by_key: dict[int, int]
    plaintext: int

    @property
    def values(self) -> int:
        """How many there are in all."""
        return sum(self.by_key.values()) + self.plaintext


def take_census(
    connections: Connections, fields: Sequence[EncryptedField], organization_id: int
) -> list[Census]:
    """Count the values of fields, each database in one pass per field."""
    taken = []
    for table in by_table(fields):
        with connections.connect(table.connection_name, "census") as connection:
            taken += [
                count_by_key(connection, table, index, organization_id)
                for index in range(len(table.fields))
            ]
    return taken


def count_by_key(connection: Connection, table: Table, index: int, organization_id: int) -> Census:
    """Count the values of one field of a table."""
    statements = Statements(table, organization_id=organization_id, target_number=None)
    counted: Counter[int | None] = Counter()
    for beginning, count in connection.execute(statements.census(index)):
        counted[header_number(beginning)] += count
    plaintext = counted.pop(None, 0)
    return Census(
        field_name=table.fields[index].field_name,
        by_key={number: counted[number] for number in sorted(n for n in counted if n is not None)},
        plaintext=plaintext,
    )


def count_left(
    ledger: Connection,
    connection: Connection,
    table: Table,
    *,
    organization_id: int,
    target_number: int | None,
) -> int:
    """Count the values of a table that are still to be rewritten, but for the quarantine."""
    statements = Statements(
        table,
        organization_id=organization_id,
        target_number=target_number,
        known_numbers=known_numbers(ledger, organization_id),
    )
    left = 0
    for index, field in enumerate(table.fields):
        row_keys, hashes = open_in_field(ledger, organization_id, field.field_id)
        parameters = {**key_parameters(row_keys, len(table.key_columns)), "hashes": hashes}
        row = connection.execute(statements.count_due(index), parameters).fetchone()
        assert row is not None
        left += row[0]
    return left


def others_hold(
    connection: Connection, table: Table, index: int, organization_id: int, *, ciphertext: bool
) -> bool:
    """Whether other organizations have ciphertext, or plaintext, in one field of a table."""
    statements = Statements(table, organization_id=organization_id, target_number=None)
    row = connection.execute(statements.others_hold(index, ciphertext=ciphertext)).fetchone()
    return row is not None and bool(row[0])
