"""Writing PEM (RFC 7468): encrypted private keys (PKCS #8), each with its chain behind it. Pure."""

import base64
from collections.abc import Iterator, Sequence

from workers.certificates.keystores.encryption import PasswordEncryption
from workers.certificates.keystores.entries import KeyEntry, TrustedEntry

_LINE = 48  # bytes, which are 64 characters


def write_pem(keys: Sequence[KeyEntry], trusted: Sequence[TrustedEntry], password: str) -> bytes:
    """Return PEM text; the keys are encrypted. Aliases and password are checked already.

    Before each entry stands its alias, in the way of ``openssl pkcs12``.
    """
    encryption = PasswordEncryption(password) if keys else None
    parts: list[str] = []
    for key in keys:
        assert encryption is not None
        parts.extend(_named(key.alias))
        parts.extend(_block("ENCRYPTED PRIVATE KEY", encryption.encrypt_key(key.private_key)))
        for certificate in key.chain:
            parts.extend(_block("CERTIFICATE", certificate))
    parts.append(write_certificates(trusted))
    return "".join(parts).encode("ascii")


def write_certificates(trusted: Sequence[TrustedEntry]) -> str:
    """Return certificates as PEM text, each with its alias before it."""
    return "".join(
        line
        for each in trusted
        for line in (*_named(each.alias), *_block("CERTIFICATE", each.certificate))
    )


def _named(alias: str) -> Iterator[str]:
    yield "Bag Attributes\n"
    yield f"    friendlyName: {alias}\n"


def _block(label: str, content: bytes) -> Iterator[str]:
    yield f"-----BEGIN {label}-----\n"
    for at in range(0, len(content), _LINE):
        yield base64.b64encode(content[at : at + _LINE]).decode("ascii") + "\n"
    yield f"-----END {label}-----\n"
