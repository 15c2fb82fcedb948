"""Certificates and requests, read by openssl."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from workers.certificates.issuance.building import request, self_signed
from workers.certificates.issuance.key_types import (
    KEY_TYPES,
    describe,
    generate_key,
    key_type_of,
    private_der,
    public_der,
)
from workers.certificates.private_keys import load_own_key
from workers.certificates.reading.fields import read_certificate
from workers.contract.certificates import AlternativeNames, KeyType, ProfileName, Subject

BEGIN = datetime(2026, 11, 5, 13, 14, 15, tzinfo=UTC)
END = datetime(2027, 11, 5, 13, 14, 15, tzinfo=UTC)
SUBJECT = Subject(
    common_name="www.example.org",
    email_address="pki@example.org",
    organization="Acme",
    organizational_unit="Sales",
    locality="München",
    state="Bayern",
    country="DE",
)
NOBODY = AlternativeNames()
NAMES = AlternativeNames(
    dns=("www.example.org", "*.example.org"),
    ip=("192.0.2.7", "2001:db8::1"),
    email=("pki@example.org",),
    uri=("spiffe://example.org/x",),
)


def certificate(
    key_type: KeyType = "P-256",
    profile: ProfileName = "standard",
    sans: AlternativeNames = NOBODY,
    subject: Subject = SUBJECT,
) -> x509.Certificate:
    return self_signed(
        generate_key(key_type),
        subject=subject,
        sans=sans,
        profile=profile,
        not_before=BEGIN,
        not_after=END,
        serial=0x1234,
    )


def openssl(*arguments: str, given: bytes = b"") -> str:
    done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return (done.stdout + done.stderr).decode()


def text(certificate: x509.Certificate) -> str:
    return openssl("x509", "-noout", "-text", given=certificate.public_bytes(Encoding.PEM))


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_each_key_type_signs_itself_and_openssl_agrees(key_type: KeyType, tmp_path: Path) -> None:
    made = certificate(key_type)
    path = tmp_path / "x.crt"
    path.write_bytes(made.public_bytes(Encoding.PEM))
    at = str(int(BEGIN.timestamp()))
    said = openssl("verify", "-attime", at, "-check_ss_sig", "-CAfile", str(path), str(path))
    assert said.endswith(": OK\n")
    found = read_certificate(made.public_bytes(Encoding.DER), source="x", position=1)
    assert (found.key_algorithm, found.key_size) == describe(key_type)
    assert key_type_of(made.public_key()) == key_type
    assert (found.not_before, found.not_after, found.serial) == (BEGIN, END, "1234")
    assert found.is_self_issued


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_each_key_type_asks_for_a_signature_and_openssl_agrees(key_type: KeyType) -> None:
    made = request(
        generate_key(key_type), subject=SUBJECT, sans=NAMES, profile="tls_server_and_client"
    )
    said = openssl("req", "-verify", "-noout", "-text", given=made.public_bytes(Encoding.PEM))
    assert "verify OK" in said
    for expected in (
        "DNS:www.example.org, DNS:*.example.org, IP Address:192.0.2.7",
        "URI:spiffe://example.org/x",
        "TLS Web Server Authentication, TLS Web Client Authentication",
    ):
        assert expected in said


def test_rule_12_the_models_request_holds_the_subject_and_nothing_else() -> None:
    made = request(generate_key("RSA-2048"), subject=SUBJECT, sans=NOBODY, profile="standard")
    assert len(made.extensions) == 0
    said = openssl(
        *("req", "-noout", "-subject", "-nameopt", "RFC2253,utf8,-esc_msb"),
        given=made.public_bytes(Encoding.PEM),
    )
    assert said == (
        "subject=emailAddress=pki@example.org,CN=www.example.org,OU=Sales,O=Acme,L=München,"
        "ST=Bayern,C=DE\n"
    )


@pytest.mark.parametrize(
    ("profile", "purposes"),
    [
        ("standard", None),
        ("signing", None),
        ("tls_server", "TLS Web Server Authentication"),
        ("tls_client", "TLS Web Client Authentication"),
        (
            "tls_server_and_client",
            "TLS Web Server Authentication, TLS Web Client Authentication",
        ),
    ],
)
def test_the_profile_says_what_a_certificate_is_for(
    profile: ProfileName, purposes: str | None
) -> None:
    said = text(certificate(profile=profile, sans=NAMES))
    assert "CA:FALSE" in said
    assert "Certificate Sign" not in said
    lines = [line.strip() for line in said.splitlines()]
    assert ("X509v3 Extended Key Usage:" in lines) == (purposes is not None)
    assert purposes is None or purposes in lines


def test_an_rsa_key_takes_in_keys_and_others_only_sign() -> None:
    assert "Digital Signature, Key Encipherment" in text(certificate("RSA-2048"))
    assert "Key Encipherment" not in text(certificate("P-256"))


def test_who_has_no_subject_is_known_by_other_names_that_must_be_understood() -> None:
    named = certificate(profile="tls_server", sans=NAMES)
    nameless = certificate(profile="tls_server", sans=NAMES, subject=Subject())
    for made, critical in ((named, False), (nameless, True)):
        extension = made.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert extension.critical is critical


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_private_key_is_kept_and_read_back(key_type: KeyType) -> None:
    key = generate_key(key_type)
    assert public_der(load_own_key(private_der(key))) == public_der(key)
