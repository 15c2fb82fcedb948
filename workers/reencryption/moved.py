"""Values that do not authenticate where they stand, but would somewhere else: copied, or moved.

Somebody copied a value from row to row or from field to field, or gave a row another owner. Which
primary key a row had before nobody can tell, so a value whose own row changed its key stays a tag
mismatch.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from workers.database.pool import Connection
from workers.encryption.associated_data import associated_data_prefix
from workers.encryption.bulk import Fault
from workers.encryption.ciphertext import DecryptionError, Stored, from_stored, open_sealed
from workers.encryption.registry import EncryptedField
from workers.encryption.row_keys import row_encoder
from workers.errors import KeywrightError
from workers.reencryption.statements import Statements
from workers.reencryption.tables import Table
from workers.reencryption.tools import Tools

_MOST_LOOKED_INTO = 100
"""Per job: each asks for a look through the table."""

_MOST_ORGANIZATIONS = 100


class OfOrganization(Protocol):
    """What is done for one organization, such as a run."""

    @property
    def organization_id(self) -> int:
        """Its id."""
        ...


class MovedRows:
    """Tells moved values from damaged ones, for the first few of them."""

    def __init__(
        self,
        run: OfOrganization,
        table: Table,
        statements: Statements,
        connection: Connection,
        tools: Tools,
    ) -> None:
        self._run = run
        self._table = table
        self._statements = statements
        self._connection = connection
        self._tools = tools
        self._encode = row_encoder(table.key_types)
        self._left = _MOST_LOOKED_INTO

    def recognize(
        self,
        field: EncryptedField,
        keys: Sequence[Sequence[Any]],
        values: Sequence[Stored],
        faults: Iterable[Fault],
    ) -> Iterator[Fault]:
        """Yield the faults of a batch, those of moved values as such."""
        for fault in faults:
            if fault.fault_class == "tag_mismatch" and self._left > 0:
                self._left -= 1
                row = tuple(column[fault.position] for column in keys)
                if self._opens_elsewhere(field, row, values[fault.position], fault.key_number or 0):
                    yield fault._replace(fault_class="moved_row")
                    continue
            yield fault

    def _opens_elsewhere(
        self, field: EncryptedField, row: tuple[Any, ...], stored: Stored, number: int
    ) -> bool:
        own = self._run.organization_id
        places = [(own, each, row) for each in self._table.fields if each is not field]
        places += [(own, field, other) for other in self._rows_with(field, stored) if other != row]
        if field.organization_column is not None:
            places += [(each, field, row) for each in self._owners_of(number) if each != own]
        return any(self._opens(*place, stored, number) for place in places)

    def _opens(
        self, owner: int, field: EncryptedField, row: tuple[Any, ...], stored: Stored, number: int
    ) -> bool:
        try:
            key = self._tools.keyring.key(owner, number)
            prefix = associated_data_prefix(number, owner, field.field_id)
            open_sealed(
                key.field_aead(field.field_id), from_stored(stored), prefix + self._encode(row)
            )
        except (DecryptionError, KeywrightError):
            return False
        return True

    def _rows_with(self, field: EncryptedField, stored: Stored) -> list[tuple[Any, ...]]:
        query = self._statements.others_with_the_same_value(self._table.fields.index(field))
        with self._connection.cursor(binary=True) as cursor:
            found = cursor.execute(query, {"values": [stored]}).fetchmany(10)
        return [row[:-1] for row in found]

    def _owners_of(self, number: int) -> list[int]:
        """Return organizations that have a key of this number."""
        with self._tools.ledger.connection() as ledger:
            rows = ledger.execute(
                "SELECT organization_id FROM keywright.master_key"
                " WHERE key_number = %(number)s ORDER BY organization_id LIMIT %(limit)s",
                {"number": number, "limit": _MOST_ORGANIZATIONS},
            ).fetchall()
        return [row[0] for row in rows]
