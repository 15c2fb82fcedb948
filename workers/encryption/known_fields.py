"""What a process remembers of the registry, and for how long."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from workers.database.pool import Pool
from workers.encryption.associated_data import associated_data_prefix
from workers.encryption.ciphertext import Stored
from workers.encryption.registry import EncryptedField, find_field
from workers.encryption.row_keys import RowEncoder, row_encoder
from workers.errors import InvalidRequestError


@dataclass(frozen=True)
class KnownField:
    """A field as it was when it was read, with what is worked out from its definition."""

    field: EncryptedField
    encode_row: RowEncoder

    @classmethod
    def of(cls, field: EncryptedField) -> "KnownField":
        """Prepare a field for use."""
        return cls(field, row_encoder(field.key_types))

    def associated_data(self, key_number: int, organization_id: int, row_key: bytes) -> bytes:
        """Return what binds a value to its row, field, organization and key."""
        return associated_data_prefix(key_number, organization_id, self.field.field_id) + row_key

    def check_organization(self, organization_id: int) -> None:
        """Pass if the field may hold values of the organization.

        Raises:
            InvalidRequestError: all its values are another organization's.
        """
        if self.field.organization_id not in (None, organization_id):
            raise InvalidRequestError(
                f"organization_id: all values of {self.field.field_name} belong to organization"
                f" {self.field.organization_id}, not to {organization_id}."
            )

    def check_value(self, value: Stored) -> None:
        """Pass if ``value`` is of the type that the column holds.

        Raises:
            InvalidRequestError: it is not.
        """
        expected = str if self.field.column_type == "text" else bytes
        if not isinstance(value, expected):
            raise InvalidRequestError(
                f"value: {self.field.field_name} is a {self.field.column_type} column and takes"
                f" {expected.__name__}, not {type(value).__name__}."
            )


class KnownFields:
    """Fields by name, remembered for ``max_age_seconds``; thread-safe."""

    def __init__(self, pool: Pool, *, max_age_seconds: float, clock: Callable[[], float]) -> None:
        self._pool = pool
        self._max_age_seconds = max_age_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[KnownField, float]] = {}

    def recent(self, field_name: str) -> KnownField:
        """Return a field as it is, or was a while ago.

        Raises:
            NotFoundError: there is no such field.
        """
        with self._lock:
            kept = self._kept.get(field_name)
        if kept is not None and self._clock() - kept[1] < self._max_age_seconds:
            return kept[0]
        return self.fresh(field_name)

    def fresh(self, field_name: str) -> KnownField:
        """Return a field as it is at this moment.

        Raises:
            NotFoundError: there is no such field.
        """
        since = self._clock()
        with self._pool.connection() as connection:
            field = find_field(connection, field_name)
        with self._lock:
            kept = self._kept.get(field_name)
            known = kept[0] if kept and kept[0].field == field else KnownField.of(field)
            self._kept[field_name] = (known, since)
        return known
