from typing import Any

import pytest
from cryptography import x509

from workers.certificates.issuance.alternative_names import checked, general_names
from workers.contract.certificates import AlternativeNames
from workers.errors import InvalidRequestError


def names(**given: Any) -> AlternativeNames:
    return AlternativeNames(**{kind: tuple(each) for kind, each in given.items()})


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        ("dns", "WWW.Example.org", "www.example.org"),
        ("dns", "*.example.org", "*.example.org"),
        ("dns", "localhost", "localhost"),
        ("dns", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("dns", "a" * 63 + ".example", "a" * 63 + ".example"),
        ("ip", "192.0.2.7", "192.0.2.7"),
        ("ip", "2001:0db8:0:0::1", "2001:db8::1"),
        ("email", "pki+signing@Example.org", "pki+signing@example.org"),
        ("uri", "spiffe://example.org/payments", "spiffe://example.org/payments"),
        ("uri", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", None),
        ("uri", "https://example.org:8443/x?y=1#z", None),
    ],
)
def test_a_name_is_kept_in_its_usual_form(kind: str, given: str, kept: str | None) -> None:
    assert getattr(checked(names(**{kind: [given]})), kind) == (kept or given,)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("dns", "bücher.example"),
        ("dns", "a b.example"),
        ("dns", "-a.example"),
        ("dns", "a_b.example"),
        ("dns", "a..example"),
        ("dns", "example.org."),
        ("dns", "example.org:443"),
        ("dns", "https://example.org"),
        ("dns", "*"),
        ("dns", "*.org"),
        ("dns", "a*.example.org"),
        ("dns", "www.*.example.org"),
        ("dns", "*.*.example.org"),
        ("dns", "192.0.2.7"),
        ("dns", "a" * 64 + ".example"),
        ("dns", ".".join(["a" * 60] * 5)),
        ("ip", "192.0.2.0/24"),
        ("ip", "192.0.2.256"),
        ("ip", "fe80::1%eth0"),
        ("ip", "example.org"),
        ("email", "nobody"),
        ("email", "@example.org"),
        ("email", "a b@example.org"),
        ("email", "jürgen@example.org"),
        ("email", "a@*.example.org"),
        ("email", "a@192.0.2.7"),
        ("email", "a" * 65 + "@example.org"),
        ("uri", "example.org/path"),
        ("uri", "https://"),
        ("uri", "https://:443/"),
        ("uri", "https://example.org:99999/"),
        ("uri", "https://example.org/a b"),
        ("uri", "https://bücher.example/"),
        ("uri", "https://[::1"),
    ],
)
def test_what_is_no_name_is_refused_with_its_kind_and_itself(kind: str, given: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        checked(names(**{kind: [given]}))
    said = str(refused.value)
    assert said.startswith(f"alternative_names.{kind}: “{given[:40]}")
    assert said.isprintable()


def test_each_name_stands_there_once_and_in_order() -> None:
    given = checked(
        names(dns=["b.example", "a.example", "B.example"], ip=["::1", "0:0:0:0:0:0:0:1"])
    )
    assert given == names(dns=["b.example", "a.example"], ip=["::1"])
    assert [type(each) for each in general_names(given)] == [
        x509.DNSName,
        x509.DNSName,
        x509.IPAddress,
    ]


def test_a_hundred_names_are_enough() -> None:
    assert len(checked(names(dns=[f"{n}.example" for n in range(100)])).dns) == 100
    with pytest.raises(InvalidRequestError, match="at most 100 names; these are 101"):
        checked(names(dns=[f"{n}.example" for n in range(100)], ip=["::1"]))
