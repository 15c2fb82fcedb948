"""The key derivation of PKCS #12 (RFC 7292 §B), for integrity and for the older encryption."""

from collections.abc import Callable
from enum import IntEnum
from hashlib import sha1, sha224, sha256, sha384, sha512
from typing import Any

_DIGESTS: dict[str, Callable[..., Any]] = {
    "sha1": sha1,
    "sha224": sha224,
    "sha256": sha256,
    "sha384": sha384,
    "sha512": sha512,
}


class Use(IntEnum):
    """What the derived bytes are for (§B.3)."""

    KEY = 1
    IV = 2
    MAC = 3


def derive(
    digest: str, use: Use, password: str, salt: bytes, *, iterations: int, size: int
) -> bytes:
    """Return ``size`` bytes made of the password, which counts as UTF-16 with a final zero."""
    new = _DIGESTS[digest]
    block: int = new().block_size
    mixed = _filled(salt, block) + _filled(password.encode("utf-16-be") + b"\0\0", block)
    derived = b""
    while True:
        value = bytes([use]) * block + mixed
        for _ in range(iterations):
            value = new(value).digest()
        derived += value
        if len(derived) >= size:
            return derived[:size]
        # To every block of the input: plus the value, plus one, without what overflows.
        step = int.from_bytes(_filled(value, block), "big") + 1
        mixed = b"".join(
            ((int.from_bytes(mixed[at : at + block], "big") + step) % (1 << 8 * block)).to_bytes(
                block, "big"
            )
            for at in range(0, len(mixed), block)
        )


def _filled(value: bytes, block: int) -> bytes:
    """Repeat ``value`` until it fills whole blocks."""
    size = -(-len(value) // block) * block
    return (value * (size // len(value) + 1))[:size] if value else b""
