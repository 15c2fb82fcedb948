"""Name constraints (RFC 5280 §4.2.1.10)."""

from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509

from tests.unit.certificates.signing.authority import MIDDLE, issue, key, name
from tests.unit.certificates.signing.verdicts import codes, verify

DNS, EMAIL, URI = x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier


def address(text: str) -> x509.IPAddress:
    return x509.IPAddress(ip_network(text) if "/" in text else ip_address(text))


def directory(common_name: str) -> x509.DirectoryName:
    return x509.DirectoryName(name(common_name))


def forbidden(
    leaf_name: x509.GeneralName,
    permitted: list[x509.GeneralName] | None = None,
    excluded: list[x509.GeneralName] | None = None,
) -> bool:
    constraints = x509.NameConstraints(permitted, excluded)
    issuing = issue("Issuing", constraints, issuer=MIDDLE, ca=True)
    names = x509.SubjectAlternativeName([leaf_name])
    leaf = issue("leaf.example.org", names, issuer=issuing)
    chain = verify(leaf, issuing)
    assert codes(chain) in ([], [("name_constraints", 2)])
    return bool(chain.faults)


@pytest.mark.parametrize(
    ("leaf_name", "subtree", "is_within"),
    [
        (DNS("www.example.org"), DNS("example.org"), True),
        (DNS("EXAMPLE.org"), DNS("example.ORG"), True),
        (DNS("*.example.org"), DNS("example.org"), True),
        (DNS("example.org"), DNS(".example.org"), False),
        (DNS("www.example.org"), DNS(".example.org"), True),
        (DNS("notexample.org"), DNS("example.org"), False),
        (EMAIL("pki@example.org"), EMAIL("example.org"), True),
        (EMAIL("pki@mail.example.org"), EMAIL("example.org"), False),
        (EMAIL("pki@mail.example.org"), EMAIL(".example.org"), True),
        (EMAIL("pki@example.org"), EMAIL("pki@example.org"), True),
        (EMAIL("it@example.org"), EMAIL("pki@example.org"), False),
        (URI("https://www.example.org/x"), URI("www.example.org"), True),
        (URI("https://www.example.org/x"), URI("example.org"), False),
        (URI("https://www.example.org/x"), URI(".example.org"), True),
        (URI("urn:example:x"), URI(".example.org"), False),
        (address("192.0.2.7"), address("192.0.2.0/24"), True),
        (address("192.0.3.7"), address("192.0.2.0/24"), False),
        (address("2001:db8::1"), address("192.0.2.0/24"), False),
    ],
)
def test_names_are_within_subtrees(
    leaf_name: x509.GeneralName, subtree: x509.GeneralName, is_within: bool
) -> None:
    assert forbidden(leaf_name, permitted=[subtree]) is not is_within
    assert forbidden(leaf_name, excluded=[subtree]) is is_within


def test_a_kind_of_name_without_constraint_is_free() -> None:
    assert not forbidden(DNS("www.example.org"), permitted=[EMAIL("example.com")])


def test_the_subject_counts_as_well() -> None:
    assert forbidden(DNS("x.org"), permitted=[directory("other")])
    assert not forbidden(DNS("x.org"), permitted=[directory("LEAF.example.org")])
    assert forbidden(DNS("x.org"), excluded=[directory("leaf.example.org")])


def test_what_an_authority_above_forbids_counts_and_self_issued_ones_are_free() -> None:
    constraints = x509.NameConstraints([directory("leaf.example.org")], None)
    root = issue("Private", constraints, ca=True)
    rolled = issue("Private", issuer=root, own_key=key("another"), ca=True)
    leaf = issue("leaf.example.org", issuer=rolled)
    assert codes(verify(root, rolled, leaf)) == []
    issuing = issue("Issuing", issuer=rolled, ca=True)
    chain = verify(root, rolled, issuing, issue("leaf.example.org", issuer=issuing))
    assert codes(chain) == [("name_constraints", 1)]
    assert "forbids the name “CN=Issuing” of entry 3" in str(chain.faults[0])
