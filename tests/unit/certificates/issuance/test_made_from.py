from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from workers.certificates.issuance.building import self_signed
from workers.certificates.issuance.key_types import KEY_TYPES, generate_key
from workers.certificates.issuance.made_from import MadeFrom, NotRepeatableError, parameters_of
from workers.contract.certificates import AlternativeNames, KeyType, ProfileName, Subject

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SUBJECT = Subject(common_name="www.example.org", country="DE")
NAMES = AlternativeNames(dns=("www.example.org",), ip=("::1",), uri=("urn:example:x",))


def made(key_type: KeyType, profile: ProfileName, names: AlternativeNames = NAMES) -> bytes:
    return self_signed(
        generate_key(key_type),
        subject=SUBJECT,
        sans=names,
        profile=profile,
        not_before=BEGIN,
        not_after=BEGIN + timedelta(days=90),
        serial=1,
    ).public_bytes(Encoding.DER)


def foreign(
    *extensions: x509.ExtensionType,
    curve: ec.EllipticCurve | None = None,
    name: x509.ObjectIdentifier = NameOID.COMMON_NAME,
) -> bytes:
    key = ec.generate_private_key(curve or ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(name, "x")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(BEGIN)
        .not_valid_after(BEGIN + timedelta(days=20_000))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    "profile", ["signing", "tls_server", "tls_client", "tls_server_and_client"]
)
def test_rule_19_what_a_certificate_was_made_from_can_be_read_from_it(
    profile: ProfileName,
) -> None:
    assert parameters_of(made("P-256", profile), ca_signed=False) == MadeFrom(
        profile=profile,
        key_type="P-256",
        subject=SUBJECT,
        alternative_names=NAMES,
        validity_days=90,
    )


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_rule_19_the_key_is_of_the_same_type(key_type: KeyType) -> None:
    read = parameters_of(made(key_type, "signing", AlternativeNames()), ca_signed=True)
    assert read == MadeFrom(profile="signing", key_type=key_type, subject=SUBJECT)


def test_a_life_without_end_is_shortened_to_what_can_be_asked_for() -> None:
    assert parameters_of(foreign(), ca_signed=False).validity_days == 3650


@pytest.mark.parametrize(
    ("der", "why"),
    [
        (b"", "not well-formed"),
        (foreign(curve=ec.SECP521R1()), "its key is of a type"),
        (foreign(name=NameOID.DOMAIN_COMPONENT), "its subject"),
        (foreign(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])), "other than TLS"),
        (
            foreign(
                x509.SubjectAlternativeName([x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))])
            ),
            "of kinds that are not made here",
        ),
    ],
)
def test_what_is_not_made_here_is_not_repeated(der: bytes, why: str) -> None:
    with pytest.raises(NotRepeatableError, match=why):
        parameters_of(der, ca_signed=False)
