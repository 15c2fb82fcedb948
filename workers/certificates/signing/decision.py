"""What an upload means for the versions that a certificate has: rules 13, 14 and 17. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from workers.certificates.reading.fields import read_certificate
from workers.certificates.reading.found import FoundCertificate
from workers.certificates.signing.candidates import Candidate
from workers.certificates.signing.checks import stated_usages
from workers.certificates.signing.requested import Requested, names_in, requested_in
from workers.certificates.signing.rules import CLIENT_AUTH, SERVER_AUTH
from workers.errors import ConflictError

Outcome: TypeAlias = Literal["signed", "renewed", "there_already"]


@dataclass(frozen=True, kw_only=True)
class KeyVersion:
    """A version whose private key is here; ``certificate_der`` is None while it is not signed."""

    version_id: int
    version_number: int
    public_key_hash: bytes
    key_algorithm: str
    key_size: int | None
    certificate_der: bytes | None
    chain_der: tuple[bytes, ...]
    csr_der: bytes | None


def version_for(
    found: Sequence[FoundCertificate], versions: Sequence[KeyVersion]
) -> KeyVersion | None:
    """Return the newest version whose key one of the certificates is for; None: there is none."""
    hashes = frozenset[bytes]().union(*(Candidate.of(each).key_hashes for each in found))
    return newest([each for each in versions if each.public_key_hash in hashes])


def newest(versions: Collection[KeyVersion]) -> KeyVersion | None:
    """Return the version with the highest number."""
    return max(versions, key=lambda each: each.version_number, default=None)


def wanted_of(version: KeyVersion) -> Requested:
    """Return what a certificate of that version has to have: what was asked for, or what it had."""
    asked = None if version.csr_der is None else requested_in(version.csr_der)
    if version.certificate_der is None:
        return asked or Requested()
    leaf = Candidate.of(read_certificate(version.certificate_der, source="", position=1))
    if asked is None:
        usages = stated_usages(leaf) or frozenset()
        asked = Requested(names_in(leaf), usages & {SERVER_AUTH, CLIENT_AUTH})
    return replace(asked, present_end=leaf.found.not_after)


def outcome_for(
    found: FoundCertificate, versions: Sequence[KeyVersion], version: KeyVersion
) -> Outcome:
    """Return what becomes of a verified chain that is for the key of ``version``.

    Raises:
        ConflictError: it is that of an earlier version, which another has replaced.
    """
    if version.certificate_der is None:
        return "signed"
    for each in sorted(versions, key=lambda each: -each.version_number):
        if (each.certificate_der, each.chain_der) == (found.der, found.chain):
            if each is version:
                return "there_already"
            raise ConflictError(
                f"This very chain is that of version {each.version_number}, which version"
                f" {version.version_number} has replaced; upload a newer one. Nothing was changed."
            )
    return "renewed"
