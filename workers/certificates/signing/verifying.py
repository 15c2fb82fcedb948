"""Putting an uploaded chain in order and finding everything that is wrong with it. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from workers.certificates.reading.chains import with_chain
from workers.certificates.reading.der import MalformedError
from workers.certificates.reading.fields import read_certificate
from workers.certificates.reading.found import Fault, FoundCertificate
from workers.certificates.signing.candidates import Candidate
from workers.certificates.signing.checks import check_each, check_issuers
from workers.certificates.signing.constraints import check_constraints
from workers.certificates.signing.findings import ChainFault, Code, Findings, entry, moment
from workers.certificates.signing.leaf_checks import check_leaf
from workers.certificates.signing.ordering import Ordered, put_in_order
from workers.certificates.signing.rules import ChainRules
from workers.certificates.signing.signatures import is_root, was_signed_by


@dataclass(frozen=True, kw_only=True)
class VerifiedChain:
    """What became of an upload.

    ``found`` is the leaf with its chain; None where there are faults. ``path`` is the chain as it
    was put in order, leaf first, whatever is wrong with it. ``key_hash`` is that of the leaf's key
    among those that it may have, if it has one of them.
    """

    found: FoundCertificate | None
    path: tuple[FoundCertificate, ...] = ()
    key_hash: bytes | None = None
    faults: tuple[ChainFault, ...] = ()
    warnings: tuple[ChainFault, ...] = ()


def verify_chain(
    certificates: Sequence[bytes], *, public_key: bytes | None, now: datetime, rules: ChainRules
) -> VerifiedChain:
    """Put certificates, each as DER and in any order, in order and check them all.

    ``public_key`` is the SubjectPublicKeyInfo that the leaf has to have; None: any.
    """
    found: list[FoundCertificate] = []
    unreadable: list[Fault] = []
    for position, der in enumerate(certificates, start=1):
        try:
            found.append(read_certificate(der, source="the chain", position=position))
        except MalformedError as error:
            unreadable.append(
                Fault(
                    source="the chain",
                    position=position,
                    what=f"the certificate is broken: {error}",
                    how_to_fix=error.how_to_fix,
                )
            )
    hashes = None if public_key is None else {sha256(public_key).digest()}
    return verify_found(found, key_hashes=hashes, now=now, rules=rules, unreadable=unreadable)


def verify_found(
    found: Sequence[FoundCertificate],
    *,
    key_hashes: Collection[bytes] | None,
    now: datetime,
    rules: ChainRules,
    unreadable: Sequence[Fault] = (),
) -> VerifiedChain:
    """Put certificates, in any order and from any number of files, in order and check them all.

    ``key_hashes`` are SHA-256 over the SubjectPublicKeyInfo of the keys that the leaf may have;
    None: any. ``unreadable`` is what reading the files found, to be told together.
    """
    refused = {Code.LIFETIME} if rules.lifetime_caps == "refuse" else frozenset[Code]()
    sources = [*(each.source for each in found), *(each.source for each in unreadable)]
    findings = Findings(sources, accepted=rules.accepted, refused=refused)
    for fault in unreadable:
        findings.add_fault(fault)
    if len(found) > rules.most_certificates:
        findings.add(
            Code.TOO_MANY,
            found[rules.most_certificates],
            f"there are {len(found)} certificates, and a chain has at most"
            f" {rules.most_certificates}",
            "upload the leaf and its issuers only",
        )
    if not found or len(found) > rules.most_certificates:
        # What else is wrong with a pile of certificates that is no chain would help nobody.
        return VerifiedChain(found=None, faults=findings.faults(), warnings=findings.warnings())
    candidates = [Candidate.of(each) for each in found]
    ordered = put_in_order(candidates, key_hashes=key_hashes, now=now)
    path = ordered.path
    _report_choice(ordered, findings)
    _report_end(ordered, rules, findings)
    check_each(path, now, findings)
    check_issuers(path, rules, findings)
    check_constraints(path, findings)
    check_leaf(path[0], rules, findings)
    leaf, *issuers = (each.found for each in path)
    chain = with_chain(leaf, issuers)
    _report_first_end(chain, issuers, findings)
    faults = findings.faults()
    matching = path[0].key_hashes & set(key_hashes or ())
    return VerifiedChain(
        found=None if faults else chain,
        path=(leaf, *issuers),
        key_hash=next(iter(matching), None),
        faults=faults,
        warnings=findings.warnings(),
    )


def _report_choice(ordered: Ordered, findings: Findings) -> None:
    leaf = ordered.path[0].found
    if not ordered.leaf_matches:
        findings.add(
            Code.KEY_MISMATCH,
            leaf,
            "no certificate here is for the key that was made for it; this one, the likeliest, is"
            " for another",
            "upload the one that was issued for its certificate signing request",
        )
    for each, first in ordered.duplicates:
        findings.add(
            Code.DUPLICATE,
            each.found,
            f"it is the same as {entry(first.found, seen_from=each.found)}",
            "leave it out",
        )
    for each in ordered.second_leaves:
        findings.add(
            Code.SECOND_LEAF,
            each.found,
            f"it is for the same key as {entry(leaf, seen_from=each.found)}, which is newer",
            "leave out the one that you do not mean",
        )
    for each in ordered.other_ways:
        findings.add(
            Code.OTHER_WAY,
            each.found,
            "it belongs to another way from the leaf to a root, and was left out",
            "nothing has to be done",
        )
    for each in ordered.surplus:
        findings.add(
            Code.SURPLUS,
            each.found,
            "it signed nothing in this chain",
            "leave it out, or add what is missing between it and the others"
            if each.is_ca
            else "leave it out",
        )


def _report_end(ordered: Ordered, rules: ChainRules, findings: Findings) -> None:
    """Report a chain that ends too early, or at nothing that is known."""
    top = ordered.path[-1]
    leaf = ordered.path[0]
    if is_root(top):
        if top is leaf and not rules.self_signed_allowed:
            findings.add(
                Code.SELF_SIGNED,
                leaf.found,
                "it is signed by its own key, not by an authority",
                "have the certificate signing request signed by an authority",
            )
        elif rules.known_root_required and not _is_known(top, rules):
            findings.add(
                Code.UNKNOWN_ROOT,
                top.found,
                "it is none of the roots that are trusted here",
                "have this root added to them, or use a certificate from one that is",
            )
        return
    if top.is_self_issued or any(_issued(root, top) for root in _known(rules)):
        return  # said already, or right
    name = top.found.issuer
    if rules.known_root_required:
        findings.add(
            Code.UNKNOWN_ROOT,
            top.found,
            f"its issuer “{name}” is not here, and none of the roots that are trusted here",
            "add the certificate of its issuer, and of that one's, up to a trusted root",
        )
    elif any(each.is_ca for each in ordered.surplus) or (top is leaf and _issuer_url(leaf)):
        where = f"; it says that it is at {_issuer_url(top)}" if _issuer_url(top) else ""
        findings.add(
            Code.MISSING_ISSUER,
            top.found,
            f"the certificate of its issuer “{name}” is missing",
            f"add it{where}",
        )
    elif top is leaf:
        findings.add(
            Code.ISSUER_LEFT_OUT,
            top.found,
            f"the certificate of its issuer “{name}” is not here, which is right only for a root",
            "add it, unless everybody who is to trust the leaf has it",
        )


def _known(rules: ChainRules) -> list[Candidate]:
    return [Candidate.of(each) for each in rules.known_roots]


def _is_known(root: Candidate, rules: ChainRules) -> bool:
    return any(
        root.names[0] == known.names[0] and root.key_hashes & known.key_hashes
        for known in _known(rules)
    )


def _issued(root: Candidate, issued: Candidate) -> bool:
    return issued.names_as_issuer(root) and was_signed_by(issued, root) is True


def _issuer_url(each: Candidate) -> str | None:
    """Return where a certificate says that its issuer's is (RFC 5280 §4.2.2.1); never fetched."""
    access = each.extension(x509.AuthorityInformationAccess)
    for description in access or ():
        location = description.access_location
        if description.access_method == AuthorityInformationAccessOID.CA_ISSUERS and isinstance(
            location, x509.UniformResourceIdentifier
        ):
            return location.value
    return None


def _report_first_end(
    chain: FoundCertificate, issuers: Sequence[FoundCertificate], findings: Findings
) -> None:
    if chain.leaf_not_after is None:
        return
    first = min(issuers, key=lambda each: each.not_after)
    findings.add(
        Code.ENDS_FIRST,
        first,
        f"it ends on {moment(first.not_after)}, before the leaf ({moment(chain.leaf_not_after)});"
        " the whole chain ends with it",
        "renew before that, through an authority that lives longer",
    )
