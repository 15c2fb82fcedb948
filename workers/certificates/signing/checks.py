"""What every certificate of a chain, and every issuer in it, has to be (RFC 5280 §6). Pure."""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from workers.certificates.signing.candidates import Candidate
from workers.certificates.signing.findings import Code, Findings, entry, moment
from workers.certificates.signing.rules import ANY_USAGE, ChainRules, usage_names
from workers.certificates.signing.signatures import (
    is_root,
    was_signed_by,
    why_signature_is_weak,
)

_LEAST_RSA_BITS = 2048
_STRONG_KEYS = frozenset(
    {
        *("EC P-224", "EC P-256", "EC P-384", "EC P-521", "EC secp256k1"),
        *("EC brainpoolP256r1", "EC brainpoolP384r1", "EC brainpoolP512r1"),
        *("Ed25519", "Ed448"),
    }
)
_ANEW = "get the authority's present certificate, or the whole chain anew"


def check_each(path: Sequence[Candidate], now: datetime, findings: Findings) -> None:
    """Check form, dates, key and signature of each certificate of a chain, leaf first."""
    for place, each in enumerate(path):
        found = each.found
        is_leaf = place == 0
        if each.flaw:
            findings.add(Code.MALFORMED, found, each.flaw, "have it issued again, well-formed")
        if now > found.not_after:  # valid until the very end of it (RFC 5280 §4.1.2.5)
            findings.add(
                Code.EXPIRED,
                found,
                f"it ended on {moment(found.not_after)}",
                "have a new one issued for the same request" if is_leaf else _ANEW,
            )
        if now < found.not_before:
            findings.add(
                Code.NOT_YET_VALID,
                found,
                f"it is not valid before {moment(found.not_before)}",
                "upload it after that moment, or have one issued that is valid now",
            )
        weakness = _why_key_is_weak(each)
        if weakness:
            findings.add(
                Code.WEAK_KEY,
                found,
                weakness,
                "make a new key of a kind that keywright makes, and have that one signed"
                if is_leaf
                else "have the leaf issued by an authority with a stronger key",
            )
        digest = None if is_root(each) else why_signature_is_weak(each)
        if digest:
            findings.add(
                Code.WEAK_SIGNATURE,
                found,
                f"it is signed with {digest}, which can be forged or cannot be relied upon",
                "have it signed with SHA-256 or better",
            )
        _check_extensions(each, findings)


def check_issuers(path: Sequence[Candidate], rules: ChainRules, findings: Findings) -> None:
    """Check that each certificate of a chain, leaf first, was rightly issued by the next."""
    for place, issuer in enumerate(path[1:], start=1):
        issued = path[place - 1]
        _check_signature(issued, issuer, findings)
        _check_authority(issuer, findings)
        _check_path_length(issuer, path[1:place], findings)
        _check_usages(issuer, rules, findings)
    top = path[-1]
    if top.is_self_issued and not is_root(top):
        findings.add(
            Code.WRONG_SIGNER,
            top.found,
            "it says that it signed itself, but its key did not",
            "get an intact copy of the root's certificate, or leave it out",
        )


def _why_key_is_weak(each: Candidate) -> str | None:
    algorithm, bits = each.found.key_algorithm, each.found.key_size
    if algorithm == "RSA":
        if bits is not None and bits >= _LEAST_RSA_BITS:
            return None
        return f"its key is too weak: RSA with {bits or 'an unknown number of'} bits"
    if algorithm not in _STRONG_KEYS:
        return f"its key is too weak, or of a kind that is not known here: {algorithm}"
    return None


def _check_extensions(each: Candidate, findings: Findings) -> None:
    for extension in each.extensions or ():
        if extension.critical and isinstance(
            extension.value, x509.UnrecognizedExtension | x509.PrecertPoison
        ):
            findings.add(
                Code.UNKNOWN_EXTENSION,
                each.found,
                f"it has a critical extension that is not known here"
                f" ({extension.oid.dotted_string})",
                "have it issued without that, or with the extension not critical",
            )


def _check_signature(issued: Candidate, issuer: Candidate, findings: Findings) -> None:
    was_signed = was_signed_by(issued, issuer)
    name = entry(issued.found, seen_from=issuer.found)
    if was_signed is False:
        findings.add(
            Code.WRONG_SIGNER,
            issuer.found,
            f"it has the name that {name} gives as its issuer, but its key did not sign that",
            "get the authority's certificate with the key that did, or an intact leaf",
        )
        return
    if was_signed is None:
        if not (issued.certificate and issuer.certificate) or why_signature_is_weak(issued):
            return  # said already
        findings.add(
            Code.WRONG_SIGNER,
            issuer.found,
            f"whether it signed {name} cannot be checked, since the kind of key or signature is not"
            " known here",
            "have the leaf issued by an authority with an RSA, ECDSA or Ed25519 key",
        )
        return
    named = issued.extension(x509.AuthorityKeyIdentifier)
    own = issuer.extension(x509.SubjectKeyIdentifier)
    if named and own and named.key_identifier not in (None, own.digest):
        findings.add(
            Code.KEY_IDENTIFIER,
            issuer.found,
            f"{name} names another key identifier for its issuer than this one has, which some"
            " clients refuse",
            "ask the authority which of its certificates belongs to it",
        )


def _check_authority(issuer: Candidate, findings: Findings) -> None:
    if issuer.certificate is None or issuer.extensions is None:
        return  # said already
    # A root of version 1 has no extensions, and is trusted for being known.
    old_root = issuer.certificate.version is x509.Version.v1 and is_root(issuer)
    if not issuer.is_ca and not old_root:
        findings.add(
            Code.NOT_A_CA,
            issuer.found,
            "it may not issue certificates: its basic constraints do not say that it is a CA",
            "get the certificate of the authority itself",
        )
    usage = issuer.extension(x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        findings.add(
            Code.KEY_USAGE,
            issuer.found,
            "its key may not sign certificates: its key usage lacks keyCertSign",
            "get the certificate of the authority itself",
        )


def _check_path_length(issuer: Candidate, below: Sequence[Candidate], findings: Findings) -> None:
    constraints = issuer.extension(x509.BasicConstraints)
    if constraints is None or not constraints.ca or constraints.path_length is None:
        return
    intermediates = sum(not each.is_self_issued for each in below)  # RFC 5280 §4.2.1.9
    if intermediates > constraints.path_length:
        findings.add(
            Code.PATH_LENGTH,
            issuer.found,
            f"it allows {constraints.path_length} authorities below it, and there are"
            f" {intermediates}",
            "have the leaf issued by an authority that this one allows",
        )


def _check_usages(issuer: Candidate, rules: ChainRules, findings: Findings) -> None:
    stated = stated_usages(issuer)
    if stated is None or ANY_USAGE in stated:
        return
    lacking = rules.usages - stated
    if lacking:
        findings.add(
            Code.EXTENDED_KEY_USAGE,
            issuer.found,
            f"it may not issue certificates for {usage_names(lacking)}, only for"
            f" {usage_names(stated)}",
            "have the leaf issued by an authority for that purpose",
        )


def stated_usages(each: Candidate) -> frozenset[str] | None:
    """Return the extended key usages, dotted; None if a certificate states none."""
    usages = each.extension(x509.ExtendedKeyUsage)
    return None if usages is None else frozenset(usage.dotted_string for usage in usages)
