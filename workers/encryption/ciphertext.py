"""The format of a ciphertext: bytes that say themselves what they are and which key opens them.

    magic 0x93 | format, algorithm | key number, u32 big-endian | nonce, 12 | ciphertext | tag, 16

Pure: keys, nonces and associated data are parameters. What the associated data is made of stands in
``workers.encryption.associated_data``.
"""

from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.errors import PermanentError

ColumnType: TypeAlias = Literal["bytea", "text"]
Stored: TypeAlias = bytes | str
"""A value as its column holds it: bytes, or text."""

MAGIC: Final = 0x93
AES_256_GCM: Final = 1
"""The one algorithm in use; 2 (AES-SIV, deterministic) and 3 (AES-GCM-SIV) are reserved."""
FORMAT_BYTE: Final = 0 << 4 | AES_256_GCM

HEADER_BYTES: Final = 6
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD: Final = HEADER_BYTES + NONCE_BYTES + TAG_BYTES
"""How many bytes a ciphertext has more than its plaintext."""
HEADER_CHARACTERS: Final = 8
"""In base64, the header is exactly so many characters, and nothing else is in them."""
TEXT_MAGIC: Final = "kw"
"""How every ciphertext of format 0 begins in a text column."""
MOST_KEYS: Final = 2**32 - 1

_BODY: Final = HEADER_BYTES + NONCE_BYTES


class DecryptionError(PermanentError):
    """The value is there and cannot be opened; it was left as it is."""

    code = "decryption"
    title = "The value cannot be decrypted"


class NotCiphertextError(DecryptionError):
    """The value does not begin like a ciphertext: it is plaintext, or somebody else's."""

    code = "not-ciphertext"
    title = "The value is no ciphertext"


class MalformedCiphertextError(DecryptionError):
    """The value begins like a ciphertext and is none: cut off, altered, or of a later version."""

    code = "malformed-ciphertext"
    title = "The ciphertext is malformed"


class TagMismatchError(DecryptionError):
    """The value does not authenticate: altered, or encrypted for another row, field or tenant."""

    code = "tag-mismatch"
    title = "The ciphertext does not belong here or was altered"


@dataclass(frozen=True, slots=True)
class Header:
    """What a ciphertext says of itself."""

    algorithm: int
    key_number: int


def header(key_number: int) -> bytes:
    """Return the six bytes with which every value under the key begins."""
    if not 1 <= key_number <= MOST_KEYS:
        raise ValueError("a key number is from 1 to 2^32 - 1")
    return bytes((MAGIC, FORMAT_BYTE)) + key_number.to_bytes(4, "big")


def header_text(key_number: int) -> str:
    """Return the eight characters with which every value under the key begins in a text column."""
    return b2a_base64(header(key_number), newline=False).decode("ascii")


def header_stored(key_number: int, column_type: ColumnType) -> Stored:
    """Return how every value under the key begins in a column of this type."""
    return header(key_number) if column_type == "bytea" else header_text(key_number)


def begins_like_ciphertext(stored: Stored) -> bool:
    """Whether a stored value has the mark of a ciphertext; it may still be none."""
    if isinstance(stored, str):
        return stored.startswith(TEXT_MAGIC)
    return stored[:1] == b"\x93"


def named_key(stored: Stored) -> int | None:
    """Return the key that a stored value names, whether or not its rest is a ciphertext's."""
    if isinstance(stored, str):
        try:
            stored = a2b_base64(stored[:HEADER_CHARACTERS], strict_mode=True)
        except ValueError:  # binascii.Error, and text that is not ASCII
            return None
    if len(stored) < HEADER_BYTES or stored[:2] != bytes((MAGIC, FORMAT_BYTE)):
        return None
    return int.from_bytes(stored[2:HEADER_BYTES], "big") or None


def parse(value: bytes) -> Header:
    """Read the header of a ciphertext.

    Raises:
        NotCiphertextError: it does not begin like one.
        MalformedCiphertextError: it does, and is too short or of a format we do not know.
    """
    if not begins_like_ciphertext(value):
        raise NotCiphertextError("The value does not begin like a ciphertext.")
    if len(value) < OVERHEAD:
        raise MalformedCiphertextError(
            f"The ciphertext has {len(value)} bytes; the shortest has {OVERHEAD}."
        )
    if value[1] != FORMAT_BYTE:
        raise MalformedCiphertextError(
            f"The ciphertext has format {value[1] >> 4} and algorithm {value[1] & 15}, which this"
            " keywright does not know; a later version may."
        )
    key_number = int.from_bytes(value[2:HEADER_BYTES], "big")
    if key_number == 0:
        raise MalformedCiphertextError("The ciphertext names key 0, and there is no such key.")
    return Header(AES_256_GCM, key_number)


def seal(
    aead: AESGCM, plaintext: bytes, associated_data: bytes, *, key_number: int, nonce: bytes
) -> bytes:
    """Return the ciphertext of ``plaintext``; no nonce may ever serve twice under one key."""
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes")
    return header(key_number) + nonce + aead.encrypt(nonce, plaintext, associated_data)


def open_sealed(aead: AESGCM, value: bytes, associated_data: bytes) -> bytes:
    """Return the plaintext of a ciphertext whose header was parsed and whose key is ``aead``.

    Raises:
        TagMismatchError: it was altered, or sealed with another key or other associated data.
    """
    try:
        return aead.decrypt(value[HEADER_BYTES:_BODY], value[_BODY:], associated_data)
    except InvalidTag:
        raise TagMismatchError(
            "The ciphertext was altered, or was written for another row, field or organization."
        ) from None


def to_stored(value: bytes, column_type: ColumnType) -> Stored:
    """Return a ciphertext as a column of this type holds it."""
    return value if column_type == "bytea" else b2a_base64(value, newline=False).decode("ascii")


def from_stored(stored: Stored) -> bytes:
    """Return the bytes of a ciphertext that a column holds: text is base64 as we write it.

    Raises:
        NotCiphertextError: it does not begin like a ciphertext.
        MalformedCiphertextError: it does, and is no canonical base64.
    """
    if not begins_like_ciphertext(stored):
        raise NotCiphertextError("The value does not begin like a ciphertext.")
    if not isinstance(stored, str):
        return stored
    try:
        encoded = stored.encode("ascii")
        value = a2b_base64(encoded)
    except ValueError:  # binascii.Error and UnicodeEncodeError are such
        value = encoded = b""
    # Base64 may say one thing in several ways; only one of them is ours (RFC 4648 §3.5).
    if not value or b2a_base64(value, newline=False) != encoded:
        raise MalformedCiphertextError(
            "The ciphertext is no canonical base64; something cut it off or put characters into it."
        )
    return value


def text_of(plaintext: bytes) -> str:
    """Return an opened value as the text that its column is to show.

    Raises:
        MalformedCiphertextError: no text column could hold it: no UTF-8, or a zero character.
    """
    try:
        text = plaintext.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise MalformedCiphertextError(
            "The value opens, but is no text that Postgres can hold; it was not written through"
            " this field."
        )
    return text
