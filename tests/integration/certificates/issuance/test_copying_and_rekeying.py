"""Copies (rule 19) and rekeys: the same parameters, another key pair."""

from typing import Any

import pytest
from cryptography import x509
from cryptography.x509 import Certificate

from tests.integration.certificates.issuance.workshop import QUICK, Workshop
from tests.unit.certificates.certificate_maker import make_found
from workers.certificates.store import save_imported
from workers.certificates.usages import add_usage, list_usages
from workers.contract.certificates import AlternativeNames, Subject
from workers.errors import ConflictError, NotFoundError

SUBJECT = Subject(common_name="www.example.org", organization="Acme", country="DE")
WWW = AlternativeNames(dns=("www.example.org",), uri=("urn:example:x",))
CASES: list[dict[str, Any]] = [
    {"key_type": "RSA-2048"},
    {"profile": "signing", "validity_days": 30, "subject": SUBJECT},
    {"profile": "tls_server_and_client", "key_type": "Ed25519", "alternative_names": WWW},
]


def newest(acme: Workshop, name: str) -> Certificate:
    return x509.load_der_x509_certificate(acme.versions(name)[-1]["certificate_der"])


def parameters(certificate: Certificate) -> tuple[Any, ...]:
    """Return all that a copy repeats."""
    return (
        certificate.subject,
        certificate.signature_algorithm_oid,
        certificate.not_valid_after_utc - certificate.not_valid_before_utc,
        [
            (extension.critical, extension.value)
            for extension in certificate.extensions
            if not isinstance(
                extension.value, x509.SubjectKeyIdentifier | x509.AuthorityKeyIdentifier
            )
        ],
    )


@pytest.mark.parametrize("request_", CASES)
def test_rule_19_a_copy_has_the_same_parameters_and_another_key_pair(
    acme: Workshop, request_: dict[str, Any]
) -> None:
    first = acme.generate("Original", **request_)
    second = acme.copy("original", "The copy")
    assert second.unique_name == "The_copy"
    original, copied = newest(acme, "Original"), newest(acme, "The_copy")
    assert parameters(original) == parameters(copied)
    assert original.public_key() != copied.public_key()
    assert original.serial_number != copied.serial_number
    keys = [acme.private_key(each.version_id).public_key() for each in (first, second)]
    assert keys == [original.public_key(), copied.public_key()]


def test_rule_19_a_copy_of_what_a_ca_signs_has_a_request_of_its_own(acme: Workshop) -> None:
    acme.generate("a", ca_signed=True, subject=SUBJECT, **QUICK)
    assert acme.copy("a", "b").status == "unusable"
    requests = [x509.load_der_x509_csr(acme.versions(name)[0]["csr_der"]) for name in "ab"]
    assert requests[0].subject == requests[1].subject
    assert requests[0].public_key() != requests[1].public_key()


def test_a_copys_key_may_leave_if_that_of_the_source_may(acme: Workshop) -> None:
    acme.generate("a", **QUICK, private_key_exportable=False)
    acme.copy("a", "b")
    acme.copy("a", "c", private_key_exportable=True)
    assert {name: row.private_key_exportable for name, row in acme.rows().items()} == {
        "a": False,
        "b": False,
        "c": True,
    }


def test_rule_19_what_was_made_elsewhere_is_copied_from_its_certificate(acme: Workshop) -> None:
    acme.generate("a", profile="tls_client", validity_days=30, subject=SUBJECT)
    acme.connection.execute(
        "UPDATE keywright.certificate SET made_from = NULL WHERE organization_id = %s",
        [acme.organization_id],
    )
    acme.copy("a", "b")
    assert parameters(newest(acme, "a")) == parameters(newest(acme, "b"))


def test_what_is_not_there_or_only_in_public_is_not_copied(acme: Workshop) -> None:
    with pytest.raises(NotFoundError, match="“missing”"):
        acme.copy("missing")
    save_imported(
        acme.connection,
        organization_id=acme.organization_id,
        found=[make_found("elsewhere")],
        now=acme.now,
    )
    for attempt in (acme.copy, acme.rekey):
        with pytest.raises(ConflictError, match="its private key is elsewhere"):
            attempt("elsewhere")
    acme.generate("a")
    with pytest.raises(ConflictError, match="taken already: “A”"):
        acme.copy("a", "A")
    assert set(acme.rows()) == {"elsewhere", "a"}


@pytest.mark.parametrize("request_", CASES)
def test_a_rekey_makes_a_version_with_another_key_pair(
    acme: Workshop, request_: dict[str, Any]
) -> None:
    first = acme.generate("a", **request_)
    before = newest(acme, "a")
    second = acme.rekey("A")
    assert (second.unique_name, second.version_number, second.made) == ("a", 2, True)
    assert second.certificate_id == first.certificate_id
    assert parameters(newest(acme, "a")) == parameters(before)
    keys = [acme.private_key(each.version_id).public_key() for each in (first, second)]
    assert keys == [before.public_key(), newest(acme, "a").public_key()]
    [old, new] = acme.versions("a")
    assert old["replaced_at"] is not None
    assert (new["replaced_at"], new["version_number"]) == (None, 2)
    assert acme.announced()[-1][0] == "certificate.issued"


def test_a_rekeyed_version_stays_where_it_is_used_until_somebody_switches(acme: Workshop) -> None:
    acme.generate("a")
    add_usage(
        acme.connection,
        organization_id=acme.organization_id,
        unique_name="a",
        place_kind="saml_configuration",
        place="Okta",
        now=acme.now,
    )
    acme.rekey("a")
    [usage] = list_usages(acme.connection, organization_id=acme.organization_id)
    assert (usage.version_number, usage.replaced) == (1, True)
    assert [each["next_notice_at"] is not None for each in acme.versions("a")] == [True, True]


def test_a_rekey_for_a_ca_replaces_nothing_before_it_is_signed(acme: Workshop) -> None:
    acme.generate("a", ca_signed=True, subject=SUBJECT, **QUICK)
    second = acme.rekey("a")
    assert (second.status, second.version_number) == ("unusable", 2)
    versions = acme.versions("a")
    assert [each["replaced_at"] for each in versions] == [None, None]
    assert versions[0]["csr_der"] != versions[1]["csr_der"]
    assert acme.announced()[-1][0] == "certificate.requested"


def test_who_expected_another_version_is_told_which_is_the_newest(acme: Workshop) -> None:
    acme.generate("a")
    second = acme.rekey("a", expected_version=1)
    late = acme.rekey("a", expected_version=1)
    assert (late.made, late.version_id, late.version_number) == (False, second.version_id, 2)
    assert late.not_after == second.not_after
    assert len(acme.versions("a")) == 2
