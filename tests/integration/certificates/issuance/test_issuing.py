"""Certificates that are made here, as they are stored."""

import json
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from psycopg.errors import CheckViolation

from tests.integration.certificates.issuance.workshop import ASKER, QUICK, Workshop
from workers.certificates.issuance.key_types import private_der, public_der
from workers.certificates.issuance.lifetimes import LifetimeError, years_later
from workers.certificates.issuing import generate_automatically
from workers.certificates.usages import add_usage
from workers.contract import JOB_REQUESTS
from workers.contract.certificates import AlternativeNames, Subject
from workers.errors import ConflictError, InvalidRequestError, KeywrightError, NotFoundError

SUBJECT = Subject(common_name="www.example.org", organization="Acme", country="DE")
TLS = {"profile": "tls_server", "alternative_names": AlternativeNames(dns=("www.example.org",))}


@pytest.mark.parametrize(
    ("key_type", "bits", "years"), [("RSA-2048", 2048, 1), ("RSA-4096", 4096, 2)]
)
def test_rule_8_a_self_signed_certificate_lasts_as_long_as_its_key_size_says(
    acme: Workshop, key_type: str, bits: int, years: int
) -> None:
    issued = acme.generate("SAML signing", key_type=key_type)
    [version] = acme.versions("SAML_signing")
    assert (version["key_algorithm"], version["key_size"]) == ("RSA", bits)
    assert version["not_after"] == years_later(version["not_before"], years)
    assert abs(version["not_before"] - acme.now) < timedelta(seconds=20)
    assert issued.not_after == version["not_after"]
    assert version["subject"] == version["issuer"]
    assert version["subject"] == f"CN=SAML_signing,OU={acme.organization_id},O={acme.name}"


def test_rule_9_a_self_signed_certificate_can_be_used_at_once(acme: Workshop) -> None:
    issued = acme.generate()
    assert issued.status == "valid"
    assert acme.rows()["Signing"].status == "valid"
    add_usage(
        acme.connection,
        organization_id=acme.organization_id,
        unique_name="Signing",
        place_kind="saml_configuration",
        place="Okta",
        now=acme.now,
    )


def test_rules_12_and_13_a_ca_signed_one_is_a_request_that_nobody_can_use(acme: Workshop) -> None:
    issued = acme.generate("TLS", ca_signed=True, subject=SUBJECT, key_type="RSA-2048")
    assert (issued.status, issued.not_after) == ("unusable", None)
    row = acme.rows()["TLS"]
    assert (row.kind, row.status, row.not_after, row.key_size) == (
        "ca_signed",
        "unusable",
        None,
        2048,
    )
    [version] = acme.versions("TLS")
    request = x509.load_der_x509_csr(version["csr_der"])
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == "CN=www.example.org,O=Acme,C=DE"
    assert version["certificate_der"] is None
    with pytest.raises(KeywrightError):
        add_usage(
            acme.connection,
            organization_id=acme.organization_id,
            unique_name="TLS",
            place_kind="tls_listener",
            place="edge",
            now=acme.now,
        )


def test_the_private_key_is_kept_encrypted_and_belongs_to_the_certificate(acme: Workshop) -> None:
    issued = acme.generate()
    key = acme.private_key(issued.version_id)
    [version] = acme.versions("Signing")
    certificate = x509.load_der_x509_certificate(version["certificate_der"])
    assert certificate.public_key() == key.public_key()
    assert private_der(key) not in version["private_key"]
    assert version["public_key_hash"] is not None


def test_rule_1_a_label_has_up_to_64_characters(acme: Workshop) -> None:
    acme.generate("ü" * 64)
    for label in (" a", "a\tb"):
        with pytest.raises(InvalidRequestError, match=r"^label: "):
            acme.generate(label)
    with pytest.raises(ValueError, match="label"):
        acme.generate("ü" * 65)


def test_rule_2_a_unique_name_that_is_none_is_refused(acme: Workshop) -> None:
    for name in ("1a", "_a", "a_", "a__b", "a b", "a-b", "ä", "", "a" * 65, "a\n"):
        with pytest.raises(ValueError, match="unique_name"):
            acme.generate("a", unique_name=name)


def test_rule_3_a_name_is_unique_in_its_organization_whatever_its_case(
    acme: Workshop, globex: Workshop
) -> None:
    acme.generate("a", unique_name="saml", **QUICK)
    with pytest.raises(ConflictError, match="“SAML”"):
        acme.generate("b", unique_name="SAML", **QUICK)
    globex.generate("a", unique_name="saml", **QUICK)
    assert len(acme.rows()) == 1


def test_rule_4_without_a_name_the_label_gives_it(acme: Workshop) -> None:
    assert acme.generate("2nd SAML — signing").unique_name == ("certificate_2nd_SAML_signing")
    with pytest.raises(ConflictError):
        acme.generate("2nd SAML: signing")


def test_rule_6_whether_the_key_may_leave_is_settled_when_it_is_made(acme: Workshop) -> None:
    acme.generate("a")
    acme.generate("b", **QUICK, private_key_exportable=False)
    assert {name: row.private_key_exportable for name, row in acme.rows().items()} == {
        "a": True,
        "b": False,
    }
    for change in ("private_key_exportable = NOT private_key_exportable", "kind = 'ca_signed'"):
        with pytest.raises(CheckViolation, match="cannot change after it was made"):
            acme.connection.execute(
                f"UPDATE keywright.certificate SET {change} WHERE organization_id = %s",
                [acme.organization_id],
            )


def test_rule_7_not_even_sql_changes_a_key(acme: Workshop) -> None:
    acme.generate("a", key_type="RSA-2048")
    for change in (
        "key_size = 4096",
        "key_algorithm = 'EC P-256'",
        r"public_key_hash = sha256('')",
    ):
        with pytest.raises(CheckViolation, match="a key cannot change"):
            acme.connection.execute(
                f"UPDATE keywright.certificate_version SET {change} WHERE organization_id = %s",
                [acme.organization_id],
            )


def test_rule_11_a_certificate_that_nobody_named(acme: Workshop) -> None:
    def automatic() -> str:
        return generate_automatically(
            acme.connection,
            acme.tools,
            organization_id=acme.organization_id,
            now=moment,
            requested_by=ASKER,
        ).unique_name

    moment = acme.now.replace(2026, 11, 5, 13, 14, 15)
    assert automatic() == "SelfSignedCert_05Nov2026_131415"
    assert automatic() == "SelfSignedCert_05Nov2026_131415_2"
    row = acme.rows()["SelfSignedCert_05Nov2026_131415"]
    assert (row.label, row.kind, row.key_size) == (row.unique_name, "self_signed", 2048)


def test_what_lasts_too_long_is_told_or_refused_and_then_nothing_is_kept(acme: Workshop) -> None:
    told = acme.generate("a", **TLS, validity_days=365)
    assert [each[:17] for each in told.warnings] == ["It lasts 365 days"]
    with pytest.raises(LifetimeError):
        acme.generate("b", **TLS, validity_days=365, lifetime_caps="refuse")
    assert list(acme.rows()) == ["a"]


def test_rule_22_a_list_tells_what_the_model_tells(acme: Workshop) -> None:
    acme.generate("The label", unique_name="a", ca_signed=True, subject=SUBJECT, **QUICK)
    row = acme.rows()["a"]
    assert (row.unique_name, row.label, row.not_after, row.key_algorithm, row.key_size) == (
        *("a", "The label", None, "EC P-256"),
        None,
    )
    assert (row.kind, row.private_key_exportable, row.private_key_encrypted, row.status) == (
        "ca_signed",
        True,
        True,
        "unusable",
    )


def test_what_was_made_is_announced(acme: Workshop) -> None:
    issued = acme.generate()
    asked = acme.generate("TLS", ca_signed=True, subject=SUBJECT, **QUICK)
    [(kind, subject, data), (asked_kind, _, asked_data)] = acme.announced()
    assert (kind, subject) == ("certificate.issued", f"certificate/{issued.certificate_id}")
    assert issued.not_after is not None
    assert data == {
        "unique_name": "Signing",
        "version_number": 1,
        "version_id": issued.version_id,
        "kind": "self_signed",
        "key_type": "P-256",
        "not_after": issued.not_after.isoformat(),
        "chain_ends_first": False,
        "requested_by": ASKER,
    }
    assert (asked_kind, asked_data["version_id"]) == ("certificate.requested", asked.version_id)


def test_nobodys_certificate_is_refused(acme: Workshop) -> None:
    acme.organization_id = 999
    with pytest.raises(NotFoundError, match="999"):
        acme.generate()


def test_rule_21_a_private_key_is_in_no_request_no_result_and_no_row_but_its_own(
    acme: Workshop,
) -> None:
    issued = acme.generate()
    key = acme.private_key(issued.version_id)
    secret = private_der(key)
    numbers = key.private_numbers().private_value.to_bytes(32, "big")  # type: ignore[union-attr]
    told = [issued.model_dump_json(), json.dumps(acme.announced())]
    told += [repr(row) for row in acme.rows().values()]
    tables = [
        row[0]
        for row in acme.connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'keywright'::regnamespace"
            " AND relkind = 'r'"
        )
    ]
    told += [
        str(row[0])
        for table in tables
        for row in acme.connection.execute(f'SELECT t::text FROM keywright."{table}" AS t')
    ]
    for trace in (secret, numbers):
        for written in (trace.hex(), b64encode(trace).decode(), repr(trace)[2:-1]):
            assert not [text for text in told if written.lower() in text.lower()]
    assert public_der(key).hex()[-60:] in "".join(told)  # so that the search finds what is there


def test_rule_21_no_request_takes_a_private_key() -> None:
    fields = {
        name: field.annotation
        for request in JOB_REQUESTS
        if request.kind.startswith("certificate.")
        for name, field in request.model_fields.items()
    }
    taking: dict[str, Any] = {
        name: kind
        for name, kind in fields.items()
        if "key" in name and name not in ("key_type", "private_key_exportable")
    }
    assert taking == {}
