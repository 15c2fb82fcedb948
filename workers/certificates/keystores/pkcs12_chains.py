"""Which certificates of a PKCS #12 file belong to which key, and in what order.

A file says by localKeyID which certificate is the key's; the rest of a chain follows by names and
signatures, whatever the order in the file.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)


@dataclass(frozen=True, kw_only=True)
class BaggedCertificate:
    """A certificate of the file, with what its bag says."""

    der: bytes
    name: str | None
    key_id: bytes | None
    trusted: bool


class CertificatesOfFile:
    """All certificates of a file, to find those of a key."""

    def __init__(self, certificates: Sequence[BaggedCertificate]) -> None:
        self._all = certificates
        self._loaded = [_load(each.der) for each in certificates]
        self._by_subject: defaultdict[bytes, list[int]] = defaultdict(list)
        self._by_key_id: dict[bytes, int] = {}
        self._by_public_key: dict[bytes, int] | None = None
        for at, (bagged, loaded) in enumerate(zip(certificates, self._loaded, strict=True)):
            if loaded is not None:
                self._by_subject[loaded.subject.public_bytes()].append(at)
            if bagged.key_id is not None and not bagged.trusted:
                self._by_key_id.setdefault(bagged.key_id, at)
        self._used: set[bytes] = set()

    def chain_of(
        self, private_key: bytes, key_id: bytes | None, *, at_most: int
    ) -> tuple[bytes, ...]:
        """Return the chain of a key, leaf first; empty if its certificate is not there.

        A chain is cut off after ``at_most`` certificates and one.
        """
        leaf = self._by_key_id.get(key_id) if key_id is not None else None
        if leaf is None:
            leaf = self._by_own_public_key(private_key)
        if leaf is None:
            return ()
        chain = [leaf]
        while len(chain) <= at_most:
            issuer = self._issuer_of(chain[-1])
            if issuer is None or issuer in chain:
                break
            chain.append(issuer)
        certificates = tuple(self._all[at].der for at in chain)
        self._used.update(certificates)
        return certificates

    def standing_alone(self) -> Iterator[BaggedCertificate]:
        """Yield the certificates that are to be trusted, and those that belong to no key."""
        for bagged in self._all:
            if bagged.trusted or bagged.der not in self._used:
                yield bagged

    def _by_own_public_key(self, private_key: bytes) -> int | None:
        if self._by_public_key is None:
            self._by_public_key = {}
            for at, loaded in enumerate(self._loaded):
                public = _public_key(loaded)
                if public and not self._all[at].trusted:
                    self._by_public_key.setdefault(public, at)
        try:
            key = load_der_private_key(private_key, None, unsafe_skip_rsa_key_validation=True)
            public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return None
        return self._by_public_key.get(public)

    def _issuer_of(self, at: int) -> int | None:
        certificate = self._loaded[at]
        if certificate is None or certificate.issuer == certificate.subject:
            return None
        candidates = self._by_subject.get(certificate.issuer.public_bytes(), [])
        # One authority may have several certificates: the one written next is the likeliest.
        for issuer in sorted(candidates, key=lambda each: (each != at + 1, each)):
            loaded = self._loaded[issuer]
            if loaded is not None and (len(candidates) == 1 or _issued(loaded, certificate)):
                return issuer
        return None


def _load(der: bytes) -> x509.Certificate | None:
    try:
        with warnings.catch_warnings():
            # Of oddities, such as a negative serial number, that do not matter here.
            warnings.simplefilter("ignore")
            certificate = x509.load_der_x509_certificate(der)
            # Names are read only now.
            _ = certificate.issuer, certificate.subject
    except (ValueError, TypeError, x509.InvalidVersion):
        return None
    return certificate


def _public_key(certificate: x509.Certificate | None) -> bytes | None:
    if certificate is None:
        return None
    try:
        return certificate.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
