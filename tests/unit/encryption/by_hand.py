"""The format built a second time, from its description alone and with other tools than ours.

Nothing here is imported from the code under test, and AES-GCM is that of pycryptodomex.
"""

import base64
import hmac
import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from Cryptodome.Cipher import AES

VECTORS = Path(__file__).parent / "vectors"

FROM_TEXT: dict[str, Any] = {
    "smallint": int,
    "integer": int,
    "bigint": int,
    "text": str,
    "varchar": str,
    "bpchar": str,
    "uuid": UUID,
    "bytea": bytes.fromhex,
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
    "timestamptz": datetime.fromisoformat,
    "numeric": Decimal,
    "boolean": {"true": True, "false": False}.__getitem__,
}


def vectors(name: str) -> list[dict[str, Any]]:
    """Return the published vectors of a file."""
    read: list[dict[str, Any]] = json.loads((VECTORS / name).read_text("utf-8"))["vectors"]
    return read


def row_of(types: list[str], texts: list[str]) -> tuple[Any, ...]:
    """Return a row key as psycopg returns it, from its texts in a vector."""
    return tuple(FROM_TEXT[kind](text) for kind, text in zip(types, texts, strict=True))


def field_key(master_key: bytes, organization_id: int, field_id: UUID) -> bytes:
    """Return the key of a field: one block of HKDF-Expand with SHA-256 (RFC 5869 §2.3)."""
    info = b"keywright field key v1" + number(organization_id, 8) + field_id.bytes
    return hmac.new(master_key, info + b"\x01", "sha256").digest()


def associated_data(key_number: int, organization_id: int, field_id: UUID, row_key: bytes) -> bytes:
    return (
        b"\x00\x00\x00\x01\x01"
        + (b"\x00\x00\x00\x04" + number(key_number, 4))
        + (b"\x00\x00\x00\x08" + number(organization_id, 8))
        + (b"\x00\x00\x00\x10" + field_id.bytes)
        + row_key
    )


def sealed(vector: dict[str, Any], row_key: bytes) -> bytes:
    """Return the ciphertext of a value vector."""
    field_id = UUID(vector["field_id"])
    nonce = bytes.fromhex(vector["nonce"])
    key = field_key(bytes.fromhex(vector["master_key"]), vector["organization_id"], field_id)
    cipher = AES.new(key, AES.MODE_GCM, nonce=nonce, mac_len=16)
    cipher.update(
        associated_data(vector["key_number"], vector["organization_id"], field_id, row_key)
    )
    ciphertext, tag = cipher.encrypt_and_digest(bytes.fromhex(vector["plaintext"]))
    return b"\x93\x01" + number(vector["key_number"], 4) + nonce + ciphertext + tag


def in_text(value: bytes) -> str:
    """Return a ciphertext as a text column holds it."""
    return base64.standard_b64encode(value).decode()


def number(value: int, length: int) -> bytes:
    return value.to_bytes(length, "big", signed=value < 0)


def row_key(types: list[str], texts: list[str]) -> bytes:
    """Return the encoding of a row key."""
    return b"".join(_element(kind, text) for kind, text in zip(types, texts, strict=True))


def _element(kind: str, text: str) -> bytes:
    if kind in ("smallint", "integer", "bigint"):
        encoded = b"\x01" + number(int(text), 8)
    elif kind in ("text", "varchar", "bpchar"):
        encoded = b"\x02" + (text.rstrip(" ") if kind == "bpchar" else text).encode("utf-8")
    elif kind == "uuid":
        encoded = b"\x03" + bytes.fromhex(text.replace("-", ""))
    elif kind == "bytea":
        encoded = b"\x04" + bytes.fromhex(text)
    elif kind == "date":
        encoded = b"\x05" + number((date.fromisoformat(text) - date(1970, 1, 1)).days, 4)
    elif kind in ("timestamp", "timestamptz"):
        moment = datetime.fromisoformat(text)
        since = moment - datetime(1970, 1, 1, tzinfo=moment.tzinfo)
        if offset := moment.utcoffset():
            since -= offset
        microseconds = (since.days * 86400 + since.seconds) * 10**6 + since.microseconds
        encoded = (b"\x06" if kind == "timestamp" else b"\x07") + number(microseconds, 8)
    elif kind == "numeric":
        encoded = b"\x08" + _plain_number(text).encode("ascii")
    else:
        encoded = b"\x09" + (b"\x01" if text == "true" else b"\x00")
    return number(len(encoded), 4) + encoded


def _plain_number(text: str) -> str:
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)
    body = "".join(map(str, digits)) + "0" * max(exponent, 0)
    if exponent < 0:
        body = body.rjust(1 - exponent, "0")
        body = f"{body[:exponent]}.{body[exponent:]}".rstrip("0").rstrip(".")
    body = body.lstrip("0") or "0"
    body = f"0{body}" if body.startswith(".") else body
    return f"-{body}" if sign and body != "0" else body
