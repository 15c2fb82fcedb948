"""The keys that a table's values ask for, found as they turn up; values brought under one key."""

import os
import time
from collections.abc import Sequence

from workers.encryption.associated_data import associated_data_prefix
from workers.encryption.bulk import Fault, FaultClass, FieldKey, Resealed, Resealer
from workers.encryption.ciphertext import NONCE_BYTES, Stored
from workers.encryption.registry import EncryptedField
from workers.keys.keyring import KeyRing
from workers.keys.states import DestroyedKeyError, SuspendedKeyError, UnknownKeyError
from workers.reencryption.statements import header_number

KEYS_AGE_SECONDS = 30
"""So long keys are used without asking the key ring, which has ages of its own."""

_UNUSABLE: dict[type[Exception], FaultClass] = {
    UnknownKeyError: "unknown_key",
    DestroyedKeyError: "destroyed_key",
    SuspendedKeyError: "suspended_key",
}


class FieldResealer:
    """Reseals the values of one field and organization; keys are looked up once per batch of them.

    With ``takes_plaintext``, what is no ciphertext is plaintext, and a key number that the
    organization never had only looks like one.
    """

    def __init__(
        self,
        keyring: KeyRing,
        field: EncryptedField,
        *,
        organization_id: int,
        target_number: int | None,
        takes_plaintext: bool,
    ) -> None:
        self._keyring = keyring
        self._field = field
        self._organization_id = organization_id
        self._target_number = target_number
        self._takes_plaintext = takes_plaintext
        self._header_length = 6 if field.column_type == "bytea" else 8
        self._beginnings: set[Stored] = set()
        self._resealer: Resealer | None = None
        self._looked_up_at = 0.0

    def reseal(self, row_keys: Sequence[bytes], values: Sequence[Stored | None]) -> Resealed:
        """Return the new values of a batch, as ``Resealer.reseal``."""
        nonces = os.urandom(NONCE_BYTES * len(values)) if self._target_number else b""
        return self._for(values).reseal(row_keys, values, nonces)

    def verify(self, row_keys: Sequence[bytes], values: Sequence[Stored | None]) -> list[Fault]:
        """Open every value of a batch, as ``Resealer.verify``."""
        return self._for(values).verify(row_keys, values)

    def forget_keys(self) -> None:
        """Look every key up again at the next batch: one may have been destroyed meanwhile."""
        self._resealer = None

    def _for(self, values: Sequence[Stored | None]) -> Resealer:
        length = self._header_length
        beginnings = {value[:length] for value in values if value is not None}
        is_old = time.monotonic() - self._looked_up_at > KEYS_AGE_SECONDS
        if self._resealer is None or is_old or not beginnings <= self._beginnings:
            # A text or an image has as many beginnings as there are values: what was seen before
            # need not be kept, only looked up again.
            self._beginnings = beginnings
            self._looked_up_at = time.monotonic()
            self._resealer = self._with_keys(_numbers(beginnings))
        return self._resealer

    def _with_keys(self, numbers: set[int]) -> Resealer:
        sources: dict[int, FieldKey] = {}
        unusable: dict[int, FaultClass] = {}
        if self._target_number is not None:
            numbers = numbers | {self._target_number}
        for number in numbers:
            try:
                key = self._keyring.key(self._organization_id, number)
            except (UnknownKeyError, DestroyedKeyError, SuspendedKeyError) as error:
                if number == self._target_number:
                    raise
                if not (self._takes_plaintext and isinstance(error, UnknownKeyError)):
                    unusable[number] = _UNUSABLE[type(error)]
                continue
            sources[number] = FieldKey(
                key.field_aead(self._field.field_id),
                associated_data_prefix(number, self._organization_id, self._field.field_id),
            )
        return Resealer(
            column_type=self._field.column_type,
            sources=sources,
            unusable=unusable,
            target_number=self._target_number,
            takes_plaintext=self._takes_plaintext,
        )


def _numbers(beginnings: set[Stored]) -> set[int]:
    """Return the key numbers that values with these beginnings name."""
    numbers = set()
    for beginning in beginnings:
        if beginning[:2] == b"\x93\x01" or beginning[:3] == "kwE":
            try:
                number = header_number(beginning)
            except ValueError:
                continue  # no base64: plaintext that begins alike
            if number:
                numbers.add(number)
    return numbers
