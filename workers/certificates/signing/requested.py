"""What a certificate request asks for, and whether a certificate has it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from workers.certificates.signing.candidates import Candidate
from workers.certificates.signing.rules import Name


@dataclass(frozen=True)
class Requested:
    """Names and extended key usages (dotted) that a certificate is to have.

    ``present_end`` is when the one ends whose place it takes.
    """

    names: tuple[Name, ...] = ()
    usages: frozenset[str] = frozenset()
    present_end: datetime | None = None


def requested_in(csr: bytes) -> Requested:
    """Return what a request of our own (PKCS #10, DER) asks for."""
    request = x509.load_der_x509_csr(csr)
    names = _names(request.subject, request.extensions)
    usages = frozenset[str]()
    for extension in request.extensions:
        if isinstance(extension.value, x509.ExtendedKeyUsage):
            usages = frozenset(each.dotted_string for each in extension.value)
    return Requested(tuple(names), usages)


def names_in(candidate: Candidate) -> tuple[Name, ...]:
    """Return the names that a certificate has."""
    if candidate.certificate is None or candidate.extensions is None:
        return ()
    return tuple(_names(candidate.certificate.subject, candidate.extensions))


def has_name(candidate: Candidate, wanted: Name) -> bool:
    """Whether a certificate is good for a name."""
    names = names_in(candidate)
    if wanted in names:
        return True
    hosts = [each.text for each in names if each.kind == "dns"]
    if wanted.kind == "common":
        # The model's own help shows common names that are addresses of web sites.
        host = urlsplit(wanted.text).hostname if "://" in wanted.text else wanted.text
        same = Name("common", wanted.text.casefold())
        return same in (_folded(each) for each in names) or _covers(hosts, host or "")
    if wanted.kind == "dns":
        return _covers(hosts, wanted.text)
    return _folded(wanted) in (_folded(each) for each in names)


def _folded(name: Name) -> Name:
    return Name(name.kind, name.text.casefold())


def _covers(hosts: list[str], host: str) -> bool:
    """Whether one of the names is that host, or a wildcard for it (RFC 9525 §6.3)."""
    host = host.casefold()
    above = host.partition(".")[2]
    return any(each.casefold() in (host, f"*.{above}") for each in hosts)


def _names(subject: x509.Name, extensions: x509.Extensions) -> Iterator[Name]:
    for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        yield Name("common", str(attribute.value))
    for extension in extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            for each in extension.value:
                if isinstance(each, x509.DNSName):
                    yield Name("dns", each.value)
                elif isinstance(each, x509.IPAddress):
                    yield Name("ip", str(each.value))
                elif isinstance(each, x509.RFC822Name):
                    yield Name("email", each.value)
                elif isinstance(each, x509.UniformResourceIdentifier):
                    yield Name("uri", each.value)
