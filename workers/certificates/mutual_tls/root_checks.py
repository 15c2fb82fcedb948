"""What a certificate has to be before an organization may trust it as a root. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from cryptography import x509

from workers.certificates.mutual_tls.findings import UploadFault
from workers.certificates.mutual_tls.pem_only import read_pem
from workers.certificates.reading.found import FoundCertificate
from workers.certificates.signing.candidates import Candidate
from workers.certificates.signing.checks import check_each
from workers.certificates.signing.findings import Findings
from workers.certificates.signing.signatures import was_signed_by


@dataclass(frozen=True, kw_only=True)
class CheckedRoots:
    """What became of a file: all of its roots, or every fault."""

    roots: tuple[FoundCertificate, ...] = ()
    faults: tuple[UploadFault, ...] = ()


def check_roots(data: bytes, *, source: str, now: datetime) -> CheckedRoots:
    """Check that a PEM file holds nothing but certificates that may be trusted as roots."""
    found, unreadable = read_pem(data, source=source)
    faults = list(unreadable)
    for each in found:
        faults += _check_root(each, now)
    return CheckedRoots(roots=() if faults else found, faults=tuple(faults))


def identity(root: FoundCertificate) -> bytes:
    """Return by what to recognise a root: a hash over its name and its key."""
    candidate = Candidate.of(root)
    return sha256(candidate.names[0] + b"".join(sorted(candidate.key_hashes))).digest()


def is_public(root: FoundCertificate, public: Collection[bytes]) -> bool:
    """Whether a root is one of those ``public`` ones."""
    return identity(root) in public


def _check_root(found: FoundCertificate, now: datetime) -> list[UploadFault]:
    candidate = Candidate.of(found)
    findings = Findings([found.source])
    check_each([candidate], now, findings)
    faults = [UploadFault.of(fault) for fault in findings.faults()]
    if not candidate.is_self_issued or not was_signed_by(candidate, candidate):
        faults.append(
            UploadFault.about(
                found,
                "not_a_root",
                "it is not signed by its own key",
                "add the root that its chain ends at; those between come with the clients",
            )
        )
    usage = candidate.extension(x509.KeyUsage)
    if not candidate.is_ca or (usage is not None and not usage.key_cert_sign):
        faults.append(
            UploadFault.about(
                found,
                "not_a_ca",
                "it may not issue certificates: a root has basic constraints that say CA, and its"
                " key usage, if any, has keyCertSign",
                "add the certificate of the authority itself",
            )
        )
    return faults
