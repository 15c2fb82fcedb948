from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from workers.certificates.issuance.subject import (
    distinguished_name,
    subject_from,
    usual_subject,
)
from workers.contract.certificates import Subject

WHOLE = Subject(
    common_name="www.example.org",
    email_address="pki@example.org",
    organization="Acme GmbH & Söhne",
    organizational_unit="Sales",
    locality="München",
    state="Bayern",
    country="de",
)


def test_rule_12_a_subject_has_the_seven_parts_of_the_model() -> None:
    name = distinguished_name(WHOLE)
    assert [(each.oid, each.value) for each in name] == [
        (NameOID.COUNTRY_NAME, "DE"),
        (NameOID.STATE_OR_PROVINCE_NAME, "Bayern"),
        (NameOID.LOCALITY_NAME, "München"),
        (NameOID.ORGANIZATION_NAME, "Acme GmbH & Söhne"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "Sales"),
        (NameOID.COMMON_NAME, "www.example.org"),
        (NameOID.EMAIL_ADDRESS, "pki@example.org"),
    ]


@pytest.mark.parametrize("country", ["", "D", "DEU", "D1", "日本", "D ", "ÄÖ"])
def test_rule_12_a_country_is_two_letters(country: str) -> None:
    with pytest.raises(ValidationError):
        Subject(country=country)


@pytest.mark.parametrize(
    ("field", "most"),
    [
        ("organization", 64),
        ("organizational_unit", 64),
        ("locality", 128),
        ("state", 128),
    ],
)
def test_rule_12_each_part_keeps_within_the_bounds_of_x_520(field: str, most: int) -> None:
    fits: dict[str, Any] = {field: "ü" * most}
    assert distinguished_name(Subject(**fits)).rfc4514_string()
    for text in ("ü" * (most + 1), "", " a", "a ", "a\nb", "a\0b"):
        with pytest.raises(ValidationError):
            Subject(**{field: text})


def test_rule_12_a_common_name_counts_its_bytes() -> None:
    assert distinguished_name(Subject(common_name="ü" * 32)).rfc4514_string() == "CN=" + "ü" * 32
    with pytest.raises(ValidationError, match="at most 64 bytes"):
        Subject(common_name="ü" * 33)


@pytest.mark.parametrize("address", ["nobody", "@example.org", "a@", "ä@example.org", "a b@c.org"])
def test_rule_12_an_address_is_one(address: str) -> None:
    with pytest.raises(ValidationError):
        Subject(email_address=address)


def test_a_subject_can_be_read_again() -> None:
    assert subject_from(distinguished_name(WHOLE)) == WHOLE
    assert subject_from(x509.Name([])) == Subject()


@pytest.mark.parametrize(
    "attributes",
    [
        [(NameOID.DOMAIN_COMPONENT, "example")],
        [(NameOID.COMMON_NAME, "a"), (NameOID.COMMON_NAME, "b")],
        [(NameOID.COMMON_NAME, "a "), (NameOID.LOCALITY_NAME, "b")],
    ],
)
def test_what_ours_could_not_say_is_not_read(
    attributes: list[tuple[x509.ObjectIdentifier, str]],
) -> None:
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    assert subject_from(name) is None


def test_a_self_signed_certificate_names_itself_and_its_organization() -> None:
    subject = usual_subject(unique_name="saml", organization_id=7, organization="A" * 80)
    assert subject == Subject(common_name="saml", organizational_unit="7", organization="A" * 64)
