"""What the leaf of a chain has to be for its purpose: usages, names, lifetime. Pure."""

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from workers.certificates.issuance.lifetimes import cap_days, exceeded_cap
from workers.certificates.signing.candidates import Candidate
from workers.certificates.signing.checks import stated_usages
from workers.certificates.signing.findings import Code, Findings, moment
from workers.certificates.signing.requested import has_name
from workers.certificates.signing.rules import (
    ANY_USAGE,
    SERVER_AUTH,
    ChainRules,
    usage_names,
)

_MOST_NAMES = 20


def check_leaf(leaf: Candidate, rules: ChainRules, findings: Findings) -> None:
    """Check what only the leaf has to be."""
    if leaf.extensions is None:
        return  # said already
    _check_usages(leaf, rules, findings)
    _check_key_usage(leaf, findings)
    _check_names(leaf, rules, findings)
    _check_lifetime(leaf, rules, findings)
    own_end = leaf.found.leaf_not_after or leaf.found.not_after
    if rules.present_end is not None and own_end < rules.present_end:
        findings.add(
            Code.ENDS_EARLIER,
            leaf.found,
            f"it ends on {moment(own_end)}, before the one whose place it takes"
            f" ({moment(rules.present_end)})",
            "upload the one that was issued last, unless you mean this one",
        )
    if leaf.is_ca:
        findings.add(
            Code.LEAF_IS_CA,
            leaf.found,
            "it is the certificate of an authority, which should do nothing but issue others",
            "have one issued that is no CA, unless that is what you asked for",
        )


def _check_usages(leaf: Candidate, rules: ChainRules, findings: Findings) -> None:
    stated = stated_usages(leaf)
    wanted = usage_names(rules.usages)
    if stated is None and rules.usages:
        code = Code.EXTENDED_KEY_USAGE if rules.usages_stated else Code.ANY_USAGE
        findings.add(
            code,
            leaf.found,
            "it does not state what it is for (no extended key usage)",
            f"have it issued for {wanted}, as many clients demand",
        )
    elif stated is not None and ANY_USAGE not in stated and rules.usages - stated:
        findings.add(
            Code.EXTENDED_KEY_USAGE,
            leaf.found,
            f"it is not for {usage_names(rules.usages - stated)}, only for {usage_names(stated)}",
            f"have it issued for {wanted}, which not every public authority does any more",
        )


def _check_key_usage(leaf: Candidate, findings: Findings) -> None:
    usage = leaf.extension(x509.KeyUsage)
    if usage is None or usage.digital_signature:
        return
    by_kind = (
        usage.key_encipherment if isinstance(leaf.public_key, RSAPublicKey) else usage.key_agreement
    )
    if not by_kind:
        findings.add(
            Code.KEY_USAGE,
            leaf.found,
            "its key may neither sign nor agree on keys: its key usage lacks digitalSignature",
            "have it issued with the key usage of the request",
        )


def _check_names(leaf: Candidate, rules: ChainRules, findings: Findings) -> None:
    lacking = [each.text for each in rules.names if not has_name(leaf, each)]
    missing = list(dict.fromkeys(lacking))
    if missing:
        names = ", ".join(f"“{name}”" for name in missing[:_MOST_NAMES])
        if len(missing) > _MOST_NAMES:
            names += f" and {len(missing) - _MOST_NAMES} more"
        findings.add(
            Code.MISSING_NAME,
            leaf.found,
            f"it lacks names that were asked for: {names}",
            "have it issued with all names of the request, or make a request without these",
        )


def _check_lifetime(leaf: Candidate, rules: ChainRules, findings: Findings) -> None:
    stated = stated_usages(leaf)
    if rules.lifetime_caps == "ignore" or (
        stated is not None and not stated & {SERVER_AUTH, ANY_USAGE}
    ):
        return  # the caps are for TLS servers
    not_before = leaf.found.not_before
    exceeded = exceeded_cap(not_before, leaf.found.leaf_not_after or leaf.found.not_after)
    if exceeded:
        findings.add(
            Code.LIFETIME,
            leaf.found,
            f"{exceeded}: browsers that know its root refuse it",
            f"have it issued to end by {moment(not_before + timedelta(days=cap_days(not_before)))}",
        )
