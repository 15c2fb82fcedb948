"""Putting the certificates of one file together as a leaf and its issuers (rule 15). Pure."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from workers.certificates.reading.fields import subject_and_issuer
from workers.certificates.reading.found import Fault, FoundCertificate

MAX_CHAIN = 10  # rule 20


def assemble_chain(found: Sequence[FoundCertificate]) -> FoundCertificate | Fault:
    """Return the first certificate with the others as its chain, or say where that breaks.

    ``found`` is what one file holds, at least one: the leaf first, then each one's issuer, the
    root or not. Each must bear the name and the signature of the next.
    """
    leaf, *issuers = found
    if len(found) > MAX_CHAIN:
        return _fault(
            found[MAX_CHAIN],
            f"a chain has at most {MAX_CHAIN} certificates, this one has {len(found)}",
            "import them without --chain",
        )
    for issued, issuer in pairwise(found):
        if subject_and_issuer(issued.der)[1] != subject_and_issuer(issuer.der)[0]:
            return _fault(
                issuer,
                f"this is not the issuer of entry {issued.position}, which says it is from "
                f"“{issued.issuer}”",
                "put the leaf first and then each one's issuer, or import without --chain",
            )
        reason = _why_unverified(issued.der, issuer.der)
        if reason:
            return _fault(
                issuer,
                f"entry {issued.position} names this as its issuer, but {reason}",
                "get the issuer's right certificate, or import without --chain",
            )
    return with_chain(leaf, issuers)


def with_chain(leaf: FoundCertificate, issuers: Sequence[FoundCertificate]) -> FoundCertificate:
    """Return ``leaf`` with its issuers, nearest first; the earliest end of them all counts."""
    own_end = leaf.leaf_not_after or leaf.not_after
    first = min(issuers, key=lambda each: each.not_after, default=leaf)
    ends_before = first.not_after < own_end
    return replace(
        leaf,
        chain=tuple(issuer.der for issuer in issuers),
        not_after=first.not_after if ends_before else own_end,
        leaf_not_after=own_end if ends_before else None,
        ends_first=first.subject or first.display_name if ends_before else None,
    )


def _why_unverified(issued: bytes, issuer: bytes) -> str | None:
    try:
        with warnings.catch_warnings():
            # Of oddities, such as a negative serial number, that do not matter here.
            warnings.simplefilter("ignore")
            certificate = x509.load_der_x509_certificate(issued)
            certificate.verify_directly_issued_by(x509.load_der_x509_certificate(issuer))
    except InvalidSignature:
        return "its key did not sign it"
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm):
        return "its signature cannot be checked, because one of the two is not well-formed"
    return None


def _fault(found: FoundCertificate, what: str, how_to_fix: str) -> Fault:
    return Fault(
        source=found.source,
        position=found.position,
        line=found.line,
        what=what,
        how_to_fix=how_to_fix,
    )
