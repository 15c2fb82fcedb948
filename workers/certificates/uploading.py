"""Taking in what an authority has signed: rules 13 to 18 and 20. SQL only, beside the checks.

In two steps: ``prepare`` reads, verifies and refuses, and opens the private key that a renewal
needs; ``keep`` stores the chain in the caller's transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from workers.announcements.store import announce
from workers.certificates.key_versions import (
    KeyOwner,
    load_key_versions,
    load_owner,
    owners_of_keys,
    places_with_others,
    sign_version,
)
from workers.certificates.locking import lock_certificate, no_such_certificate
from workers.certificates.making import NewVersion, add_key_version, mark_replaced
from workers.certificates.reading.chains import MAX_CHAIN
from workers.certificates.reading.found import FileReading, FoundCertificate
from workers.certificates.signing.candidates import Candidate
from workers.certificates.signing.decision import (
    KeyVersion,
    Outcome,
    newest,
    outcome_for,
    version_for,
    wanted_of,
)
from workers.certificates.signing.findings import ChainFault, Code
from workers.certificates.signing.refusal import ChainRefusedError
from workers.certificates.signing.rules import ChainRules, acceptable
from workers.certificates.signing.verifying import VerifiedChain, verify_found
from workers.certificates.silencing import silence_replaced_versions
from workers.certificates.tools import CertificateTools
from workers.certificates.versions import schedule_notices
from workers.contract.announcements import CertificateIssued, CertificateRenewed
from workers.contract.certificates import LifetimeCaps
from workers.contract.chains import UploadedChain
from workers.database.pool import Connection
from workers.errors import ConflictError


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What was read for which certificate, and what its owner puts up with."""

    organization_id: int
    unique_name: str
    readings: Sequence[FileReading]
    accept: Sequence[str] = ()
    lifetime_caps: LifetimeCaps | None = None


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A verified chain that can be kept; ``private_key`` is there where it is a renewal."""

    organization_id: int
    unique_name: str
    found: FoundCertificate
    key_hash: bytes
    outcome: Outcome
    path: tuple[FoundCertificate, ...]
    warnings: tuple[ChainFault, ...]
    private_key: bytes | None = field(default=None, repr=False)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Whom the chain is for, leaf first."""
        return tuple(each.subject or each.display_name for each in self.path)


def prepare(
    connection: Connection, tools: CertificateTools, upload: Upload, *, now: datetime
) -> Prepared:
    """Verify an upload, and have ready what ``keep`` needs; nothing is changed.

    Raises:
        NotFoundError: there is no such certificate.
        ConflictError: it is none that an authority signs, or the chain is that of an old version.
        ChainRefusedError: something is wrong with the chain; it tells all of it.
        RootKeyUnavailableError: the master key cannot be unwrapped right now.
    """
    prepared, version = _verify(connection, upload, now=now, usual_caps=tools.lifetime_caps)
    if prepared.outcome != "renewed":
        return prepared
    tools.private_keys.make_ready(upload.organization_id)
    private_key = _open(connection, tools, upload.organization_id, version.version_id)
    return replace(prepared, private_key=private_key)


def check(
    connection: Connection, upload: Upload, *, now: datetime, usual_caps: LifetimeCaps
) -> Prepared:
    """Verify an upload without keeping anything.

    Raises:
        NotFoundError, ConflictError, ChainRefusedError: as ``prepare``.
    """
    return _verify(connection, upload, now=now, usual_caps=usual_caps)[0]


def keep(
    connection: Connection,
    tools: CertificateTools,
    prepared: Prepared,
    *,
    now: datetime,
    requested_by: str,
) -> UploadedChain:
    """Store a chain in the caller's transaction: its version is usable from then on (rule 16).

    A renewal is another version with the same key; the version before keeps its chain (rule 17).

    Raises:
        NotFoundError: the certificate is gone.
        ConflictError: somebody else has uploaded a newer chain meanwhile.
    """
    organization_id, found = prepared.organization_id, prepared.found
    certificate = lock_certificate(connection, organization_id, prepared.unique_name)
    versions = load_key_versions(connection, certificate.certificate_id)
    version = newest([each for each in versions if each.public_key_hash == prepared.key_hash])
    if version is None:
        raise no_such_certificate(prepared.unique_name)
    outcome = outcome_for(found, versions, version)
    version_id, number = version.version_id, version.version_number
    if outcome == "signed":
        mark_replaced(connection, certificate.certificate_id, now=now)
        number = sign_version(connection, version_id, found, now=now)
        silence_replaced_versions(connection, certificate.certificate_id)
        schedule_notices(connection, [version_id])
    elif outcome == "renewed":
        made = add_key_version(
            connection,
            tools.private_keys,
            organization_id=organization_id,
            certificate=certificate,
            version=NewVersion(
                private_key=prepared.private_key
                or _open(connection, tools, organization_id, version_id),
                public_key=Candidate.of(found).public_key_with(prepared.key_hash),
                key_algorithm=version.key_algorithm,
                key_size=version.key_size,
                found=found,
                csr=version.csr_der,
            ),
            now=now,
        )
        version_id, number = made.version_id, made.version_number
    uploaded = UploadedChain(
        certificate_id=certificate.certificate_id,
        version_id=version_id,
        unique_name=certificate.unique_name,
        version_number=number,
        outcome=outcome,
        not_before=found.not_before,
        not_after=found.not_after,
        leaf_not_after=found.leaf_not_after,
        ends_first=found.ends_first,
        chain=prepared.subjects,
        still_used_in=places_with_others(connection, version_id),
        warnings=tuple(str(each) for each in prepared.warnings),
    )
    if outcome != "there_already":
        _announce(connection, organization_id, uploaded, requested_by)
    return uploaded


def _verify(
    connection: Connection, upload: Upload, *, now: datetime, usual_caps: LifetimeCaps
) -> tuple[Prepared, KeyVersion]:
    accepted = acceptable(upload.accept)
    owner = load_owner(connection, upload.organization_id, upload.unique_name)
    versions = load_key_versions(connection, owner.certificate_id)
    _check_kind(owner, versions)
    found = [each for reading in upload.readings for each in reading.certificates]
    unreadable = [
        fault for reading in upload.readings for fault in (*reading.faults, *reading.strangers)
    ]
    version = version_for(found[:MAX_CHAIN], versions) or versions[-1]
    wanted = wanted_of(version)
    made_with = (owner.made_from or {}).get("lifetime_caps")
    chain = verify_found(
        found,
        key_hashes={version.public_key_hash},
        now=now,
        rules=ChainRules(
            usages=wanted.usages,
            names=wanted.names,
            present_end=wanted.present_end,
            lifetime_caps=upload.lifetime_caps or made_with or usual_caps,
            accepted=accepted,
        ),
        unreadable=unreadable,
    )
    if chain.found is None or chain.key_hash is None:
        faults = _with_owner(connection, upload.organization_id, chain)
        raise ChainRefusedError(owner.unique_name, faults, chain.warnings)
    return Prepared(
        organization_id=upload.organization_id,
        unique_name=owner.unique_name,
        found=chain.found,
        key_hash=chain.key_hash,
        outcome=outcome_for(chain.found, versions, version),
        path=chain.path,
        warnings=chain.warnings,
    ), version


def _check_kind(owner: KeyOwner, versions: Sequence[KeyVersion]) -> None:
    if owner.kind == "self_signed":
        raise ConflictError(
            f"“{owner.unique_name}” is self-signed, and stays so (rule 7): there is nothing for an"
            " authority to sign; make a CA-signed one with `keywright certificate create`."
        )
    if not versions:
        raise ConflictError(
            f"The private key of “{owner.unique_name}” is elsewhere; `keywright certificate import"
            " --renews` takes in its next certificate."
        )


def _with_owner(
    connection: Connection, organization_id: int, chain: VerifiedChain
) -> list[ChainFault]:
    """Return the faults; of a leaf for another key that is here, tell whose it is."""
    faults = list(chain.faults)
    for place, fault in enumerate(faults):
        if fault.code is Code.KEY_MISMATCH:
            hashes = Candidate.of(chain.path[0]).key_hashes
            owners = owners_of_keys(connection, organization_id, hashes)
            if owners:
                names = ", ".join(f"“{name}”" for name in owners)
                faults[place] = replace(fault, how_to_fix=f"upload it to {names}, whose key it is")
    return faults


def _open(
    connection: Connection, tools: CertificateTools, organization_id: int, version_id: int
) -> bytes:
    opened = tools.private_keys.open(
        connection, organization_id=organization_id, version_ids=[version_id]
    )
    return opened[version_id]


def _announce(
    connection: Connection, organization_id: int, uploaded: UploadedChain, requested_by: str
) -> None:
    told = CertificateIssued if uploaded.outcome == "signed" else CertificateRenewed
    announce(
        connection,
        told(
            unique_name=uploaded.unique_name,
            version_number=uploaded.version_number,
            version_id=uploaded.version_id,
            kind="ca_signed",
            not_after=uploaded.not_after,
            chain_ends_first=uploaded.ends_first is not None,
            requested_by=requested_by,
        ),
        organization_id=organization_id,
        subject=f"certificate/{uploaded.certificate_id}",
    )
