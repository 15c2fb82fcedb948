"""Refusing private keys where certificates are asked for, before anything is stored."""

import base64
import binascii

_ENOUGH = 32  # characters of base64: the first bytes of DER tell what it is
_LEAST = 8
_SEQUENCE = 0x30
_INTEGER = 0x02


def check_no_private_key(text: str) -> str:
    """Return ``text`` if it holds no private key, in PEM or in base64 of DER.

    Raises:
        ValueError: it does; its text repeats nothing of it.
    """
    if "PRIVATE KEY-----" in text or _is_key_material(text):
        raise ValueError("there is a private key in it; send the certificates alone")
    return text


def _is_key_material(text: str) -> bool:
    """Whether it is DER that begins with a version, as keys and PKCS #12 do.

    PKCS #8 (RFC 5958), PKCS #1 (RFC 8017), SEC 1 (RFC 5915) and PKCS #12 (RFC 7292) are sequences
    with an integer first; certificates and PKCS #7 have another sequence or a name there.
    """
    start = "".join(text[: 4 * _ENOUGH].split())[:_ENOUGH]
    try:
        der = base64.b64decode(start, validate=True)
    except (binascii.Error, ValueError):
        return False
    if len(der) < _LEAST or der[0] != _SEQUENCE:
        return False
    length_bytes = der[1] & 0x7F if der[1] & 0x80 else 0
    return der[2 + length_bytes :][:2] == bytes((_INTEGER, 1))
