"""Cleartext key material: 32 bytes that never show themselves.

The name is ugly on purpose: whoever imports this module handles keys in the clear. An architecture
test says who may.
"""

import hmac
import os
from hashlib import sha256
from typing import NoReturn
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

KEY_BYTES = 32
CHECK_VALUE_BYTES = 5

_FINGERPRINT_LABEL = b"keywright master key fingerprint v1"
_FIELD_LABEL = b"keywright field key v1"


class CleartextKey:
    """A 256-bit key. It shows no bytes, compares in constant time, and cannot be pickled."""

    __slots__ = ("__bytes",)

    def __init__(self, material: bytes) -> None:
        if len(material) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes")
        self.__bytes = bytes(material)

    @classmethod
    def generate(cls) -> "CleartextKey":
        """Make a new key from the system's random source."""
        return cls(os.urandom(KEY_BYTES))

    def reveal(self) -> bytes:
        """Return the bytes: to wrap or to export them, and for nothing else."""
        return self.__bytes

    def check_value(self) -> bytes:
        """Return 5 bytes by which people tell keys apart: AES-CMAC of a zero block (X9.24-1)."""
        mac = CMAC(AES(self.__bytes))
        mac.update(bytes(16))
        return mac.finalize()[:CHECK_VALUE_BYTES]

    def fingerprint(self) -> bytes:
        """Return 32 bytes by which the database knows a key that was here before."""
        return hmac.digest(self.__bytes, _FINGERPRINT_LABEL, "sha256")

    def field_key(self, organization_id: int, field_id: UUID) -> AESGCM:
        """Return the AEAD of one field: HKDF-Expand (RFC 5869 §2.3) of the master key.

        The master key is uniformly random, so it needs no extraction (RFC 5869 §3.3).
        """
        info = _FIELD_LABEL + organization_id.to_bytes(8, "big") + field_id.bytes
        return AESGCM(HKDFExpand(SHA256(), KEY_BYTES, info).derive(self.__bytes))

    def __repr__(self) -> str:
        return "<a cleartext key>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CleartextKey) and hmac.compare_digest(self.__bytes, other.__bytes)

    __hash__ = None  # type: ignore[assignment]  # no key of a mapping

    def __reduce__(self) -> NoReturn:
        raise TypeError("a cleartext key stays in its process")


def secret_hash(material: bytes) -> bytes:
    """Return SHA-256 of a secret that an organization brings, to compare with what it announced."""
    return sha256(material).digest()
