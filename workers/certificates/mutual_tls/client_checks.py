"""What a client certificate has to be before it is accepted: rules 32, 33 and 37. Pure.

The chain itself is verified as that of any upload (``signing``), up to a root that the
organization trusts; here is what is particular to clients. All faults are found at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from workers.certificates.mutual_tls.findings import UploadFault
from workers.certificates.mutual_tls.pem_only import read_pem
from workers.certificates.reading.found import FoundCertificate
from workers.certificates.signing.candidates import Candidate
from workers.certificates.signing.checks import stated_usages
from workers.certificates.signing.ordering import put_in_order
from workers.certificates.signing.rules import ANY_USAGE, CLIENT_AUTH, SERVER_AUTH, ChainRules
from workers.certificates.signing.signatures import is_root, was_signed_by
from workers.certificates.signing.verifying import verify_found

PUBLIC_CLIENTS_END = datetime(2026, 6, 15, tzinfo=UTC)
"""From then on public authorities certify no clients: Chrome Root Program Policy 1.7 (rule 37)."""


@dataclass(frozen=True, kw_only=True)
class TrustedRoot:
    """A root that clients' certificates may lead to; ``is_public``: browsers trust it, too."""

    found: FoundCertificate
    is_public: bool = False


@dataclass(frozen=True, kw_only=True)
class CheckedClient:
    """What became of an upload.

    ``found`` is the leaf, with all issuers up to the root as its chain, so that the earliest end
    of them all counts; None where there are faults.
    """

    found: FoundCertificate | None = None
    root_fingerprint: bytes | None = None
    faults: tuple[UploadFault, ...] = ()
    warnings: tuple[UploadFault, ...] = ()


def check_client(
    data: bytes, *, source: str, roots: Sequence[TrustedRoot], now: datetime
) -> CheckedClient:
    """Check a PEM file: the leaf, alone or with its issuers in any order, the root or not."""
    found, unreadable = read_pem(data, source=source)
    if not found:
        return CheckedClient(faults=unreadable)
    root = _root_of(found, roots, now)
    chain = list(found)
    if root is not None and all(each.der != root.found.der for each in found):
        chain.append(root.found)
    verified = verify_found(
        chain,
        key_hashes=None,
        now=now,
        rules=ChainRules(
            usages=frozenset({CLIENT_AUTH}),
            usages_stated=True,
            known_roots=tuple(each.found for each in roots),
            known_root_required=True,
            lifetime_caps="ignore",
        ),
    )
    faults = [
        *unreadable,
        *(UploadFault.of(fault) for fault in verified.faults),
        *_vague_usages(verified.path),
    ]
    warnings = [UploadFault.of(warning) for warning in verified.warnings]
    if root is not None and root.is_public and verified.path:
        warnings += _public_root(verified.path[0], root, now)
    return CheckedClient(
        found=None if faults else verified.found,
        root_fingerprint=root.found.fingerprint if root else None,
        faults=tuple(faults),
        warnings=tuple(warnings),
    )


def _root_of(
    found: Sequence[FoundCertificate], roots: Sequence[TrustedRoot], now: datetime
) -> TrustedRoot | None:
    """Return the trusted root that a chain leads to."""
    top = put_in_order([Candidate.of(each) for each in found], key_hashes=None, now=now).path[-1]
    for root in roots:
        trusted = Candidate.of(root.found)
        if is_root(top):
            if top.names[0] == trusted.names[0] and top.key_hashes & trusted.key_hashes:
                return root
        elif top.names_as_issuer(trusted) and was_signed_by(top, trusted):
            return root
    return None


def _vague_usages(path: Sequence[FoundCertificate]) -> list[UploadFault]:
    """Report usages that say "anything": TLS servers demand that clients be named (rule 32)."""
    faults = []
    for found in path:
        stated = stated_usages(Candidate.of(found))
        if stated is not None and ANY_USAGE in stated and CLIENT_AUTH not in stated:
            faults.append(
                UploadFault.about(
                    found,
                    "extended_key_usage",
                    "its extended key usage is for anything, which TLS servers do not take for"
                    " TLS clients",
                    "have it issued with clientAuth (1.3.6.1.5.5.7.3.2)",
                )
            )
    return faults


def _public_root(leaf: FoundCertificate, root: TrustedRoot, now: datetime) -> list[UploadFault]:
    """Warn of what will not be renewed."""
    day = f"{PUBLIC_CLIENTS_END:%Y-%m-%d}"
    verb = "issues" if now >= PUBLIC_CLIENTS_END else "will issue"
    warnings = [
        UploadFault.about(
            leaf,
            "public_authority",
            f"it leads to “{root.found.display_name}”, a root that browsers trust, which {verb} no"
            f" certificates for TLS clients after {day}: it will not be renewed",
            f"have the next one, before {leaf.not_after:%Y-%m-%d}, from a private authority",
        )
    ]
    stated = stated_usages(Candidate.of(leaf)) or frozenset()
    if {CLIENT_AUTH, SERVER_AUTH} <= stated:
        warnings.append(
            UploadFault.about(
                leaf,
                "dual_use",
                "it is for TLS servers and for TLS clients, which no root that browsers trust may"
                f" certify in one after {day}",
                "use one certificate for the server and another for the client",
            )
        )
    return warnings
