"""What the leaf has to be for its purpose: usages, names, lifetime (rules 12 and 18)."""

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from cryptography import x509

from tests.unit.certificates.signing.authority import (
    CLIENT,
    DAY,
    ISSUING,
    SERVER,
    dns,
    extended,
    issue,
    key_usage,
)
from tests.unit.certificates.signing.verdicts import codes, verify, warned
from workers.certificates.signing.findings import Code
from workers.certificates.signing.rules import ChainRules, Name, acceptable
from workers.certificates.signing.verifying import VerifiedChain, verify_chain
from workers.contract.certificates import LifetimeCaps
from workers.errors import InvalidRequestError

FOR_BOTH = ChainRules(usages=frozenset({SERVER, CLIENT}))


def of_leaf(*extensions: x509.ExtensionType, rules: ChainRules = FOR_BOTH) -> VerifiedChain:
    return verify(issue("leaf.example.org", *extensions, issuer=ISSUING), ISSUING, rules=rules)


def test_a_leaf_for_another_purpose_is_refused() -> None:
    chain = of_leaf(extended(SERVER))
    assert codes(chain) == [("extended_key_usage", 1)]
    assert "it is not for TLS clients, only for TLS servers" in str(chain.faults[0])
    accepted = ChainRules(
        usages=FOR_BOTH.usages, accepted=acceptable(["extended_key_usage", "missing_name"])
    )
    chain = of_leaf(extended(SERVER), rules=accepted)
    assert (codes(chain), warned(chain)) == ([], [("extended_key_usage", 1)])


def test_a_leaf_for_that_purpose_or_for_any_is_right() -> None:
    assert codes(of_leaf(extended(SERVER, CLIENT))) == []
    assert codes(of_leaf(extended("2.5.29.37.0"))) == []


def test_a_leaf_that_states_no_purpose_is_a_warning_or_a_fault() -> None:
    chain = of_leaf()
    assert (codes(chain), warned(chain)) == ([], [("any_usage", 1)])
    strict = ChainRules(usages=FOR_BOTH.usages, usages_stated=True)
    assert codes(of_leaf(rules=strict)) == [("extended_key_usage", 1)]


def test_a_key_that_may_neither_sign_nor_agree_is_refused() -> None:
    assert codes(of_leaf(key_usage(crl_sign=True), rules=ChainRules())) == [("key_usage", 1)]
    assert codes(of_leaf(key_usage(digital_signature=True), rules=ChainRules())) == []
    assert codes(of_leaf(key_usage(key_agreement=True), rules=ChainRules())) == []


def test_an_authority_as_a_leaf_is_a_warning() -> None:
    leaf = issue("leaf.example.org", issuer=ISSUING, ca=True)
    assert warned(verify(leaf, ISSUING)) == [("leaf_is_ca", 1)]


def test_a_leaf_that_signed_itself_is_refused_unless_it_may() -> None:
    leaf = issue("leaf.example.org")
    assert codes(verify(leaf)) == [("self_signed", 1)]
    assert codes(verify(leaf, rules=ChainRules(self_signed_allowed=True))) == []


NAMES = x509.SubjectAlternativeName(
    [
        x509.DNSName("www.Example.org"),
        x509.DNSName("*.shop.example.org"),
        x509.IPAddress(ip_address("192.0.2.1")),
        x509.RFC822Name("pki@example.org"),
        x509.UniformResourceIdentifier("spiffe://example.org/web"),
    ]
)


@pytest.mark.parametrize(
    ("name", "is_there"),
    [
        (Name("common", "LEAF.example.org"), True),
        (Name("common", "www.example.org"), True),
        (Name("common", "http://www.example.org"), True),
        (Name("common", "http://example.org"), False),
        (Name("common", "Acme Signing"), False),
        (Name("dns", "WWW.example.org"), True),
        (Name("dns", "eu.shop.example.org"), True),
        (Name("dns", "*.shop.example.org"), True),
        (Name("dns", "a.eu.shop.example.org"), False),
        (Name("dns", "shop.example.org"), False),
        (Name("dns", "leaf.example.org"), False),
        (Name("ip", "192.0.2.1"), True),
        (Name("ip", "192.0.2.2"), False),
        (Name("email", "PKI@example.org"), True),
        (Name("email", "it@example.org"), False),
        (Name("uri", "spiffe://example.org/web"), True),
        (Name("uri", "spiffe://example.org/api"), False),
    ],
)
def test_a_name_that_was_asked_for_has_to_be_there(name: Name, is_there: bool) -> None:
    chain = of_leaf(NAMES, rules=ChainRules(names=(name,)))
    assert codes(chain) == ([] if is_there else [("missing_name", 1)])


def test_every_missing_name_is_told() -> None:
    wanted = [Name("dns", f"host{number}.example.org") for number in range(25)]
    chain = of_leaf(dns("host3.example.org"), rules=ChainRules(names=(*wanted, wanted[0])))
    [fault] = chain.faults
    assert "“host0.example.org”, “host1.example.org”, “host2.example.org”, “host4" in str(fault)
    assert "and 4 more" in str(fault)


@pytest.mark.parametrize(
    ("begins", "last", "days"),
    [
        (datetime(2025, 6, 1, tzinfo=UTC), datetime(2026, 7, 4, tzinfo=UTC), 398),
        (datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 12, 18, tzinfo=UTC), 200),
        (datetime(2027, 6, 1, tzinfo=UTC), datetime(2027, 9, 9, tzinfo=UTC), 100),
        (datetime(2029, 6, 1, tzinfo=UTC), datetime(2029, 7, 18, tzinfo=UTC), 47),
    ],
)
def test_rule_18_the_beginning_decides_how_long_a_leaf_may_live(
    begins: datetime, last: datetime, days: int
) -> None:
    def chain(not_after: datetime, caps: LifetimeCaps, *usages: str) -> VerifiedChain:
        leaf = issue(
            "leaf.example.org",
            *([extended(*usages)] if usages else []),
            issuer=ISSUING,
            not_before=begins,
            not_after=not_after,
        )
        return verify_chain(
            [leaf.der], public_key=None, now=begins, rules=ChainRules(lifetime_caps=caps)
        )

    def told(chain: VerifiedChain) -> tuple[bool, bool]:
        return (
            ("lifetime", 1) in codes(chain),
            ("lifetime", 1) in warned(chain),
        )

    assert told(chain(last, "refuse")) == (False, False)
    assert told(chain(last + DAY, "refuse")) == (True, False)
    assert told(chain(last + DAY, "warn", SERVER)) == (False, True)
    assert told(chain(last + DAY, "ignore")) == (False, False)
    assert told(chain(last + DAY, "refuse", CLIENT)) == (False, False)
    [fault] = [each for each in chain(last + DAY, "refuse").faults if each.code is Code.LIFETIME]
    assert f"no more than {days}" in str(fault)
    assert f"{last:%Y-%m-%d}" in fault.how_to_fix


def test_only_what_proves_nothing_wrong_can_be_put_up_with() -> None:
    assert acceptable(["surplus"]) == {Code.SURPLUS}
    for code in ("wrong_signer", "expired", "key_mismatch", "nonsense"):
        with pytest.raises(InvalidRequestError, match="accept: “" + code):
            acceptable([code])
