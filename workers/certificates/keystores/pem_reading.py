"""Reading PEM files with private keys and certificates in any order; runs in the child process.

Each key finds its certificate by the public key, and the chain by names. What an entry is called
may stand before its first block as ``friendlyName: …``, the way openssl and keywright write it;
otherwise the certificate's own name has to do.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from workers.certificates.keystores import faults
from workers.certificates.keystores.entries import (
    EntryFault,
    KeyEntry,
    KeystoreReading,
    TrustedEntry,
)
from workers.certificates.keystores.entry_names import fill_in_names, own_name
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.limits import Limits
from workers.certificates.keystores.password_encryption import (
    PasswordDecryption,
    WrongPasswordError,
    opened_key,
)
from workers.certificates.keystores.pkcs12_chains import BaggedCertificate, CertificatesOfFile
from workers.certificates.keystores.sniffing import as_text
from workers.certificates.names import assign_unique_names
from workers.certificates.reading.der import OCTET_STRING, SEQUENCE, MalformedError, read_element
from workers.certificates.reading.pem import PemBlock, find_pem_blocks
from workers.certificates.reading.pkcs7 import certificates_in_bundle

_CERTIFICATES = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
_BUNDLES = ("PKCS7", "PKCS #7 SIGNED DATA", "CMS")
_FRIENDLY_NAME = re.compile(r"\s*friendlyName: *(\S.*)")
_MOST_KEY_CHARACTERS = 128 * 1024


@dataclass
class _Key:
    name: str | None
    line: int
    private_key: bytes = field(repr=False)
    has_own_password: bool


@dataclass
class _Found:
    keys: list[_Key] = field(default_factory=list)
    certificates: list[BaggedCertificate] = field(default_factory=list)
    faults: list[EntryFault] = field(default_factory=list)


class _Passwords:
    """What opens the encrypted keys of one file."""

    def __init__(self, store_password: str, key_password: str | None, limits: Limits) -> None:
        self._decryption = PasswordDecryption(limits.max_iterations)
        self._store_password = store_password
        self._all = [store_password]
        if key_password is not None and key_password != store_password:
            self._all.insert(0, key_password)
        self.own_given = len(self._all) > 1

    def open_pkcs8(self, der: bytes) -> tuple[bytes, bool]:
        """Return the key, and whether another password than the store's opened it."""
        parts = [child for child, _ in zip(read_element(der).children(), "ab", strict=False)]
        if [part.tag for part in parts] != [SEQUENCE, OCTET_STRING]:
            raise MalformedError("it is no encrypted PKCS #8")
        algorithm, ciphertext = parts
        for password in self._all:
            try:
                clear = opened_key(
                    self._decryption.decrypt(algorithm, ciphertext.content, password)
                )
            except WrongPasswordError:
                continue
            return clear, password != self._store_password
        raise WrongPasswordError

    def open_traditional(self, pem: bytes) -> tuple[bytes, bool]:
        """Do the same for a key encrypted in the old way of openssl (DEK-Info)."""
        for password in self._all:
            try:
                key = load_pem_private_key(
                    pem, password.encode(), unsafe_skip_rsa_key_validation=True
                )
            except UnsupportedAlgorithm:
                raise MalformedError("its encryption is not supported") from None
            except (ValueError, TypeError):
                continue
            return _pkcs8(key), password != self._store_password
        raise WrongPasswordError


def read_pem_keystore(
    data: bytes, *, store_password: str, key_password: str | None, limits: Limits
) -> KeystoreReading:
    """Read a PEM file; what cannot be read is among the faults.

    Raises:
        KeystoreError: there are neither keys nor certificates in it, or too many.
    """
    passwords = _Passwords(store_password, key_password, limits)
    found = _Found()
    for name, block in _named_blocks(as_text(data)):
        if "PRIVATE KEY" in block.label:
            _take_key(found, name, block, passwords)
        elif block.label in (*_CERTIFICATES, *_BUNDLES):
            _take_certificates(found, name, block)
        _refuse_too_many(found, limits)
    if not (found.keys or found.certificates or found.faults):
        raise KeystoreError(
            "The PEM file holds neither private keys nor certificates; give one with both."
        )
    return _put_together(found, limits)


def _named_blocks(text: str) -> Iterator[tuple[str | None, PemBlock]]:
    """Yield each block with the name that stands between it and the one before."""
    lines = text.split("\n")
    after = 0
    for block in find_pem_blocks(text):
        name = None
        for line in lines[after : block.line - 1]:
            named = _FRIENDLY_NAME.fullmatch(line)
            name = named[1].strip() if named else name
        yield name, block
        after = block.line + block.text.count("\n")


def _take_key(found: _Found, name: str | None, block: PemBlock, passwords: _Passwords) -> None:
    alias = name or f"key_on_line_{block.line}"
    try:
        private_key, has_own_password = _open(block, passwords)
    except WrongPasswordError:
        found.faults.append(faults.unopened_key(alias, own_given=passwords.own_given))
    except (MalformedError, KeystoreError) as error:
        reason = str(error).partition(";")[0].removesuffix(".")
        found.faults.append(faults.unreadable_key(alias, reason[0].lower() + reason[1:]))
    else:
        found.keys.append(_Key(name, block.line, private_key, has_own_password))


def _open(block: PemBlock, passwords: _Passwords) -> tuple[bytes, bool]:
    if len(block.text) > _MOST_KEY_CHARACTERS:
        raise MalformedError("it is far too large")
    if block.label == "ENCRYPTED PRIVATE KEY":
        return passwords.open_pkcs8(block.decode())
    if block.label == "PRIVATE KEY":
        return block.decode(), False
    if block.label not in ("RSA PRIVATE KEY", "EC PRIVATE KEY"):
        raise MalformedError("it is in a form of its own, not in PKCS #8")
    if block.flaw is None and "DEK-Info:" in block.text:
        pem = f"-----BEGIN {block.label}-----{block.text}-----END {block.label}-----\n"
        return passwords.open_traditional(pem.encode("latin-1"))
    try:
        key = load_der_private_key(block.decode(), None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise MalformedError("it is damaged") from None
    return _pkcs8(key), False


def _pkcs8(key: object) -> bytes:
    return key.private_bytes(  # type: ignore[attr-defined,no-any-return]  # every kind has it
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )


def _take_certificates(found: _Found, name: str | None, block: PemBlock) -> None:
    try:
        element = read_element(block.decode())
        ders = (
            [each.encoded for each in certificates_in_bundle(element)]
            if block.label in _BUNDLES
            else [element.encoded]  # what a TRUSTED CERTIFICATE says further is left unread
        )
    except MalformedError as error:
        found.faults.append(
            EntryFault(
                alias=None,
                code="certificate-unreadable",
                what=f"The certificate on line {block.line} cannot be read, {error}",
                how_to_fix=error.how_to_fix,
            )
        )
        return
    known = {each.der for each in found.certificates[-1:]}
    found.certificates += [
        BaggedCertificate(der=der, name=name, key_id=None, trusted=False)
        for der in ders
        if der not in known
    ]


def _refuse_too_many(found: _Found, limits: Limits) -> None:
    for what, count, allowed in (
        ("private keys", len(found.keys) + len(found.faults), limits.max_keys),
        ("certificates", len(found.certificates), limits.max_entries),
    ):
        if count > allowed:
            raise KeystoreError(f"The keystore has more than {allowed:,} {what}; divide it.")


def _put_together(found: _Found, limits: Limits) -> KeystoreReading:
    certificates = CertificatesOfFile(found.certificates)
    chains = [
        certificates.chain_of(each.private_key, None, at_most=limits.max_chain_length)
        for each in found.keys
    ]
    names = fill_in_names(
        [each.name for each in found.keys],
        [
            own_name(chain[0]) if chain else f"key_on_line_{each.line}"
            for each, chain in zip(found.keys, chains, strict=True)
        ],
    )
    keys = [
        KeyEntry(
            alias=alias,
            private_key=key.private_key,
            chain=chain,
            has_own_password=key.has_own_password,
        )
        for key, alias, chain in zip(found.keys, names, chains, strict=True)
    ]
    alone = list(certificates.standing_alone())
    wanted = [each.name or own_name(each.der) for each in alone]
    trusted = [
        TrustedEntry(alias=alias, certificate=each.der)
        for alias, each in zip(assign_unique_names(wanted, ()), alone, strict=True)
    ]
    return KeystoreReading(
        format="pem", keys=tuple(keys), trusted=tuple(trusted), faults=tuple(found.faults)
    )
