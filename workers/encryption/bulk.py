"""Many values of one field and organization at once: the inner loop of re-encryption. Pure.

A value that cannot be opened is reported and never stops the others. What is a ciphertext is told
by its first six bytes (eight characters of text): where they name a key of the organization, the
value has to open under it. Anything else is plaintext where plaintext is to be expected.
"""

from binascii import a2b_base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from struct import iter_unpack
from typing import Any, Literal, NamedTuple, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.encryption.ciphertext import (
    HEADER_BYTES,
    HEADER_CHARACTERS,
    NONCE_BYTES,
    OVERHEAD,
    TEXT_MAGIC,
    ColumnType,
    MalformedCiphertextError,
    NotCiphertextError,
    Stored,
    from_stored,
    header,
    parse,
    text_of,
    to_stored,
)

FaultClass: TypeAlias = Literal[
    "malformed",
    "unknown_key",
    "destroyed_key",
    "suspended_key",
    "tag_mismatch",
    "moved_row",
    "plaintext_found",
]
"""The classes of the quarantine. That a row was moved is not seen here, but by trying others."""

_BODY = HEADER_BYTES + NONCE_BYTES


class FieldKey(NamedTuple):
    """A master key as one field of one organization uses it."""

    aead: AESGCM
    prefix: bytes
    """Of the associated data: ``associated_data_prefix(key_number, organization_id, field_id)``."""


class Fault(NamedTuple):
    """A value that was left as it is: where in the batch, why, and the key it names, if it does."""

    position: int
    fault_class: FaultClass
    key_number: int | None


@dataclass(frozen=True, slots=True)
class Resealed:
    """What became of a batch; ``new_values`` is parallel to it, None: leave this one as it is."""

    new_values: list[Stored | None]
    faults: list[Fault]


class Resealer:
    """Brings the values of one field and organization under one key, or back into plaintext.

    ``sources`` has every key that opens values, by number; ``unusable`` says why another does not.
    Values under ``target_number`` are left as they are; None turns all into plaintext. With
    ``takes_plaintext``, a value that is no ciphertext is plaintext; without, it is a fault.
    """

    def __init__(
        self,
        *,
        column_type: ColumnType,
        sources: Mapping[int, FieldKey],
        unusable: Mapping[int, FaultClass],
        target_number: int | None,
        takes_plaintext: bool,
    ) -> None:
        self._column_type: ColumnType = column_type
        self._openers: dict[bytes, tuple[Callable[[bytes, bytes, bytes], bytes], bytes]] = {
            header(number): (key.aead.decrypt, key.prefix) for number, key in sources.items()
        }
        self._unusable = {header(number): fault for number, fault in unusable.items()}
        self._target_header = b"" if target_number is None else header(target_number)
        self._target = None if target_number is None else sources[target_number]
        self._takes_plaintext = takes_plaintext

    def reseal(
        self, row_keys: Sequence[bytes], stored: Sequence[Stored | None], nonces: bytes
    ) -> Resealed:
        """Return the new values of a batch; ``nonces`` has twelve random bytes for each of it.

        ``row_keys`` are encoded (``workers.encryption.row_keys.columns_encoder``).
        """
        if self._target is None:
            return self._to_plaintext(row_keys, stored)
        return self._to_target(self._target, row_keys, stored, nonces)

    def verify(self, row_keys: Sequence[bytes], stored: Sequence[Stored | None]) -> list[Fault]:
        """Open every value of a batch; return those that do not open, and plaintext if a fault."""
        return self._to_plaintext(row_keys, stored).faults

    def _to_target(
        self,
        target: FieldKey,
        row_keys: Sequence[bytes],
        stored: Sequence[Stored | None],
        nonces: bytes,
    ) -> Resealed:
        find, new_header = self._openers.get, self._target_header
        encrypt, new_prefix = target.aead.encrypt, target.prefix
        new_values: list[Any] = []
        append = new_values.append
        faults: list[Fault] = []
        # Everything in here counts: it happens once per value, and there may be billions of them.
        for row_key, value, (nonce,) in zip(
            row_keys, self._binary(stored), iter_unpack("12s", nonces), strict=True
        ):
            if value is None or (head := value[:HEADER_BYTES]) == new_header:
                append(None)
                continue
            if opener := find(head):
                try:
                    plaintext = opener[0](
                        value[HEADER_BYTES:_BODY], value[_BODY:], opener[1] + row_key
                    )
                except (InvalidTag, ValueError):
                    faults.append(_unopened(len(new_values), value))
                    append(None)
                    continue
            else:
                original = stored[len(new_values)]
                if fault := self._fault_without_key(len(new_values), original, head):
                    faults.append(fault)
                    append(None)
                    continue
                plaintext = original.encode() if isinstance(original, str) else value
            append(new_header + nonce + encrypt(nonce, plaintext, new_prefix + row_key))
        if self._column_type == "text":
            new_values = [value and to_stored(value, "text") for value in new_values]
        return Resealed(new_values, faults)

    def _to_plaintext(self, row_keys: Sequence[bytes], stored: Sequence[Stored | None]) -> Resealed:
        find = self._openers.get
        new_values: list[Any] = []
        append = new_values.append
        faults: list[Fault] = []
        is_text = self._column_type == "text"
        for row_key, value in zip(row_keys, self._binary(stored), strict=True):
            if value is None:
                append(None)
                continue
            head = value[:HEADER_BYTES]
            if opener := find(head):
                try:
                    opened = opener[0](
                        value[HEADER_BYTES:_BODY], value[_BODY:], opener[1] + row_key
                    )
                    append(text_of(opened) if is_text else opened)
                    continue
                except MalformedCiphertextError:
                    faults.append(
                        Fault(len(new_values), "malformed", int.from_bytes(head[2:], "big"))
                    )
                except (InvalidTag, ValueError):
                    faults.append(_unopened(len(new_values), value))
            elif fault := self._fault_without_key(len(new_values), stored[len(new_values)], head):
                faults.append(fault)
            append(None)
        return Resealed(new_values, faults)

    def _binary(self, stored: Sequence[Any]) -> Sequence[Any]:
        return stored if self._column_type == "bytea" else [_binary(value) for value in stored]

    def _fault_without_key(self, index: int, value: Stored | None, head: bytes) -> Fault | None:
        """Say what is wrong with a value that no key of ours opens; None: it is plaintext."""
        assert value is not None
        if fault_class := self._unusable.get(head):
            return Fault(index, fault_class, int.from_bytes(head[2:], "big"))
        if self._takes_plaintext:
            return None
        try:
            return Fault(index, "unknown_key", parse(from_stored(value)).key_number)
        except NotCiphertextError:
            return Fault(index, "plaintext_found", None)
        except MalformedCiphertextError:
            return Fault(index, "malformed", None)


def _binary(value: str | None) -> bytes | None:
    """Return a ciphertext in text as bytes; of what only begins like one, the header; else nothing.

    Plaintext in UTF-8 never has the first byte of a header, so nothing is mistaken.
    """
    if value is None:
        return None
    if not value.startswith(TEXT_MAGIC):
        return b""
    try:
        return from_stored(value)
    except MalformedCiphertextError:
        try:
            return a2b_base64(value[:HEADER_CHARACTERS], strict_mode=True)
        except ValueError:
            return b""


def _unopened(index: int, value: bytes) -> Fault:
    key_number = int.from_bytes(value[2:HEADER_BYTES], "big")
    return Fault(index, "malformed" if len(value) < OVERHEAD else "tag_mismatch", key_number)
