"""Encrypting: what an application does inside its own transaction."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

from workers.encryption.ciphertext import NONCE_BYTES, Stored, seal, to_stored
from workers.encryption.known_fields import KnownField, KnownFields
from workers.errors import InvalidRequestError
from workers.keys.keyring import KeyRing


class FieldWriter:
    """Encrypts under the organization's active key, as long as its transaction holds the fence.

    Only ``FieldCipher.writing`` makes one. The values it returns are to be written in the
    transaction (and savepoint) in which it was made.
    """

    def __init__(self, keyring: KeyRing, fields: KnownFields, organization_id: int) -> None:
        self._keyring = keyring
        self._fields = fields
        self._organization_id = organization_id
        self._current: dict[str, KnownField] = {}
        self._is_open = True

    def encrypt(
        self, field_name: str, *, row: Sequence[Any], value: Stored | None
    ) -> Stored | None:
        """Return ``value`` as it is to be written into its column; None stays None.

        ``row`` has the values of the table's key columns. While the field holds plaintext, or
        returns to it, the value comes back unchanged.

        Raises:
            NotFoundError: there is no such field.
            InvalidRequestError: the value, the row or the organization does not fit the field.
            KeyExhaustedError: the active key may encrypt no more.
            RootKeyUnavailableError: the key cannot be unwrapped right now.
        """
        return self.encrypt_many(field_name, [(row, value)])[0]

    def encrypt_many(
        self, field_name: str, values: Iterable[tuple[Sequence[Any], Stored | None]]
    ) -> list[Stored | None]:
        """Return many values of a field, each given with its row; all or none, as ``encrypt``."""
        if not self._is_open:
            raise InvalidRequestError(
                "The writer is used outside its `with cipher.writing(…)` block; encrypt inside."
            )
        known = self._field(field_name)
        known.check_organization(self._organization_id)
        given = list(values)
        row_keys = [known.encode_row(row) for row, _ in given]
        for _, value in given:
            if value is not None:
                known.check_value(value)
                _check_text(known, value)
        uses = sum(value is not None for _, value in given)
        if not uses or not known.field.writes_ciphertext:
            return [value for _, value in given]
        # Read after the fence was taken, each time: it cannot be a key that was active before.
        key = self._keyring.active_key(self._organization_id, uses=uses)
        aead, number = key.field_aead(known.field.field_id), key.number
        nonces = iter(_nonces(uses))
        return [
            None
            if value is None
            else to_stored(
                seal(
                    aead,
                    value.encode() if isinstance(value, str) else value,
                    known.associated_data(number, self._organization_id, row_key),
                    key_number=number,
                    nonce=next(nonces),
                ),
                known.field.column_type,
            )
            for row_key, (_, value) in zip(row_keys, given, strict=True)
        ]

    def close(self) -> None:
        """Encrypt nothing more: the transaction goes on without us."""
        self._is_open = False

    def _field(self, field_name: str) -> KnownField:
        """Return the field as it was when this writer first needed it, after the fence."""
        if field_name not in self._current:
            self._current[field_name] = self._fields.fresh(field_name)
        return self._current[field_name]


def _check_text(known: KnownField, value: Stored) -> None:
    if isinstance(value, str) and ("\0" in value or not _is_unicode(value)):
        raise InvalidRequestError(
            f"value: {known.field.field_name} is a text column, which can hold neither a zero"
            " character nor half a surrogate pair; leave them out."
        )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _nonces(count: int) -> list[bytes]:
    pool = os.urandom(NONCE_BYTES * count)
    return [pool[start : start + NONCE_BYTES] for start in range(0, len(pool), NONCE_BYTES)]
