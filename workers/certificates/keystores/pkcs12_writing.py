"""Writing PKCS #12 with any number of keys (RFC 7292); ``cryptography`` writes one in a file.

Everything under AES-256 (see ``encryption``), the certificates too, and a MAC with SHA-256: what
JDK 17 and OpenSSL 3 write themselves.
"""

import hmac
import os
from collections.abc import Iterator, Sequence
from hashlib import sha1

from workers.certificates.keystores import der_writing as der
from workers.certificates.keystores import pkcs12_structure as structure
from workers.certificates.keystores.encryption import ITERATIONS, PasswordEncryption
from workers.certificates.keystores.entries import KeyEntry, TrustedEntry
from workers.certificates.keystores.pkcs12_derivation import Use, derive
from workers.certificates.reading.fields import subject_and_issuer

_VERSION = 3
_MAC_SALT_BYTES = 16
_DIGEST_BYTES = 32
_ANY_EXTENDED_KEY_USAGE = "2.5.29.37.0"


def write_pkcs12(keys: Sequence[KeyEntry], trusted: Sequence[TrustedEntry], password: str) -> bytes:
    """Return a PKCS #12 file; aliases and password are checked already."""
    encryption = PasswordEncryption(password)
    safes = []
    if keys:
        safes.append(_in_the_clear([_key_bag(each, encryption) for each in keys]))
    certificates = [*_chain_bags(keys), *(_trusted_bag(each) for each in trusted)]
    if certificates or not safes:
        safes.append(_encrypted(certificates, encryption))
    authenticated = der.sequence(*safes)
    return der.sequence(
        der.integer(_VERSION),
        _content_info(structure.DATA, der.octets(authenticated)),
        _mac(authenticated, password),
    )


def _key_bag(entry: KeyEntry, encryption: PasswordEncryption) -> bytes:
    return _bag(
        structure.SHROUDED_KEY_BAG,
        encryption.encrypt_key(entry.private_key),
        _friendly_name(entry.alias),
        _local_key_id(entry),
    )


def _chain_bags(keys: Sequence[KeyEntry]) -> Iterator[bytes]:
    """Yield the leaf of each key with its mark, and each issuer once.

    An issuer whose name others bear too is written with every chain, behind the certificate that
    it issued: only so can a reader tell whose chain has which.
    """
    bearers: dict[bytes, set[bytes]] = {}
    for issuer in {issuer for entry in keys for issuer in entry.chain[1:]}:
        bearers.setdefault(subject_and_issuer(issuer)[0], set()).add(issuer)
    ambiguous = {issuer for several in bearers.values() if len(several) > 1 for issuer in several}
    written: set[bytes] = set()
    for entry in keys:
        leaf, *issuers = entry.chain
        yield _certificate_bag(leaf, _friendly_name(entry.alias), _local_key_id(entry))
        for issuer in issuers:
            if issuer not in written or issuer in ambiguous:
                written.add(issuer)
                yield _certificate_bag(issuer)


def _trusted_bag(entry: TrustedEntry) -> bytes:
    # Without this attribute, Java passes over a certificate that belongs to no key.
    usage = _attribute(structure.TRUSTED_KEY_USAGE, der.oid(_ANY_EXTENDED_KEY_USAGE))
    return _certificate_bag(entry.certificate, _friendly_name(entry.alias), usage)


def _certificate_bag(certificate: bytes, *attributes: bytes) -> bytes:
    value = der.sequence(der.oid(structure.X509_CERTIFICATE), der.explicit(der.octets(certificate)))
    return _bag(structure.CERTIFICATE_BAG, value, *attributes)


def _bag(kind: str, value: bytes, *attributes: bytes) -> bytes:
    described = [der.set_of(*attributes)] if attributes else []
    return der.sequence(der.oid(kind), der.explicit(value), *described)


def _friendly_name(alias: str) -> bytes:
    name = der.encode(der.BMP_STRING, alias.encode("utf-16-be"))
    return _attribute(structure.FRIENDLY_NAME, name)


def _local_key_id(entry: KeyEntry) -> bytes:
    # As openssl does, but of the alias: one certificate may be there under two.
    mark = sha1(entry.alias.encode(), usedforsecurity=False).digest()
    return _attribute(structure.LOCAL_KEY_ID, der.octets(mark))


def _attribute(kind: str, value: bytes) -> bytes:
    return der.sequence(der.oid(kind), der.set_of(value))


def _in_the_clear(bags: Sequence[bytes]) -> bytes:
    """Return the content of bags that are encrypted each by itself."""
    return _content_info(structure.DATA, der.octets(der.sequence(*bags)))


def _encrypted(bags: Sequence[bytes], encryption: PasswordEncryption) -> bytes:
    algorithm, ciphertext = encryption.encrypt(der.sequence(*bags))
    content = der.sequence(der.oid(structure.DATA), algorithm, der.implicit_octets(ciphertext))
    return _content_info(structure.ENCRYPTED_DATA, der.sequence(der.integer(0), content))


def _content_info(kind: str, content: bytes) -> bytes:
    return der.sequence(der.oid(kind), der.explicit(content))


def _mac(authenticated: bytes, password: str) -> bytes:
    salt = os.urandom(_MAC_SALT_BYTES)
    key = derive("sha256", Use.MAC, password, salt, iterations=ITERATIONS, size=_DIGEST_BYTES)
    digest_info = der.sequence(
        der.sequence(der.oid(structure.SHA256), der.null()),
        der.octets(hmac.digest(key, authenticated, "sha256")),
    )
    return der.sequence(digest_info, der.octets(salt), der.integer(ITERATIONS))
