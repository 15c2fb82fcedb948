"""Writing JKS out of pyjks' own parts.

``KeyStore.saves`` appends every entry to the whole file so far, which takes seconds for 10,000;
here the same methods encode the entries, and they are joined once. Keys are handed over encrypted,
by pyjks' own protection: its ``new`` would refuse some (those that hold their public key as well,
RFC 5958), and takes most of the time to learn what is not needed.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha1

from jks import KeyStore
from jks.jks import MAGIC_NUMBER_JKS, SIGNATURE_WHITENING, PrivateKeyEntry, TrustedCertEntry
from jks.sun_crypto import SUN_JKS_ALGO_ID, jks_pkey_encrypt
from jks.util import b4

from workers.certificates.keystores import der_writing as der
from workers.certificates.keystores.entries import KeyEntry, TrustedEntry

# Since its last release, in 2020, what pyjks calls private is as settled as the rest.
_encode_key: Callable[[str, PrivateKeyEntry, str], bytes]
_encode_trusted: Callable[[str, TrustedCertEntry], bytes]
_encode_key = KeyStore._write_private_key  # type: ignore[attr-defined]  # noqa: SLF001
_encode_trusted = KeyStore._write_trusted_cert  # type: ignore[attr-defined]  # noqa: SLF001

_VERSION = 2
# With the NULL that JDK 8 to 17 write, and that pyjks insists on when it reads.
_PROTECTION = der.sequence(der.oid(".".join(map(str, SUN_JKS_ALGO_ID))), der.null())


def write_jks(
    keys: Sequence[KeyEntry],
    trusted: Sequence[TrustedEntry],
    *,
    password: str,
    key_password: str,
) -> bytes:
    """Return a JKS file; aliases and passwords are checked already."""
    head = MAGIC_NUMBER_JKS + b4.pack(_VERSION) + b4.pack(len(keys) + len(trusted))
    content = b"".join((head, *_keys(keys, key_password), *_trusted(trusted)))
    integrity = sha1(password.encode("utf-16-be") + SIGNATURE_WHITENING, usedforsecurity=False)
    integrity.update(content)
    return content + integrity.digest()


def _keys(keys: Sequence[KeyEntry], password: str) -> Iterator[bytes]:
    for each in keys:
        protected = der.octets(jks_pkey_encrypt(each.private_key, password))
        entry = PrivateKeyEntry(
            alias=each.alias,
            timestamp=int(time.time() * 1000),
            cert_chain=[("X.509", certificate) for certificate in each.chain],
            encrypted=der.sequence(_PROTECTION, protected),
        )
        yield _encode_key(each.alias, entry, password)


def _trusted(trusted: Sequence[TrustedEntry]) -> Iterator[bytes]:
    for each in trusted:
        entry = TrustedCertEntry.new(each.alias, each.certificate)
        yield _encode_trusted(each.alias, entry)
