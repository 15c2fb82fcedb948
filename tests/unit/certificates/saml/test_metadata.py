"""What stands in metadata, whatever names and dates there are."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml.verifier import SignatureConfiguration, XMLVerifier

from workers.certificates.saml.metadata import (
    Publication,
    ServiceProvider,
    cache_duration,
    signed_metadata,
    valid_until,
)
from workers.errors import ConflictError, InvalidRequestError

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
OLD_KEY, NEW_KEY = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
NAMES = {
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}


def certificate(key: EllipticCurvePrivateKey, name: str) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 60 * DAY)
        .sign(key, SHA256())
        .public_bytes(Encoding.DER)
    )


OLD, NEW = certificate(OLD_KEY, "old"), certificate(NEW_KEY, "new")
BOTH = Publication(
    provider=ServiceProvider(
        entity_id="https://acme.example/saml",
        assertion_consumer_url="https://acme.example/acs?a=1&b=2",
    ),
    certificates=[OLD, NEW],
    switch_by=NOW + 20 * DAY,
    valid_days=14,
    document_id="_1",
)


def parsed(publication: Publication, key: EllipticCurvePrivateKey = OLD_KEY) -> etree._Element:
    return etree.fromstring(signed_metadata(publication, key=key, now=NOW))


def published(root: etree._Element) -> list[str]:
    found = root.findall(".//md:KeyDescriptor[@use='signing']//ds:X509Certificate", NAMES)
    return ["".join(each.text.split()) for each in found]


def test_the_key_that_signs_now_stands_first_and_signs() -> None:
    root = parsed(BOTH)
    [first, second] = published(root)
    [signer] = root.findall("./ds:Signature//ds:X509Certificate", NAMES)
    assert "".join(signer.text.split()) == first != second
    swapped = parsed(replace(BOTH, certificates=[NEW, OLD]), NEW_KEY)
    assert published(swapped) == [second, first]


def test_the_signature_covers_the_whole_document_and_comes_first() -> None:
    xml = signed_metadata(BOTH, key=OLD_KEY, now=NOW)
    assert etree.fromstring(xml)[0].tag == f"{{{NAMES['ds']}}}Signature"
    pem = x509.load_der_x509_certificate(OLD)
    verified = XMLVerifier().verify(
        xml,
        x509_cert=pem,
        id_attribute="ID",
        expect_config=SignatureConfiguration(location="./", verification_time=NOW),
    )
    assert not isinstance(verified, list)
    assert verified.signed_xml is not None
    assert verified.signed_xml.get("entityID") == BOTH.provider.entity_id


def test_a_copy_is_good_for_days_and_never_longer_than_the_certificate() -> None:
    assert valid_until(BOTH, now=NOW) == NOW + 14 * DAY
    assert valid_until(replace(BOTH, valid_days=400), now=NOW) == NOW + 60 * DAY
    root = parsed(BOTH)
    assert root.get("validUntil") == "2026-06-15T12:00:00Z"
    for days in (0, 401):
        with pytest.raises(InvalidRequestError, match="valid_days"):
            valid_until(replace(BOTH, valid_days=days), now=NOW)


def test_nothing_is_published_under_a_certificate_that_has_ended() -> None:
    with pytest.raises(ConflictError, match="ended on 2026-07-31"):
        signed_metadata(BOTH, key=OLD_KEY, now=NOW + 61 * DAY)


@pytest.mark.parametrize(
    ("switch_in", "seconds"),
    [(None, 86400), (20 * DAY, 86400), (2 * DAY, 43200), (timedelta(0), 3600), (-DAY, 3600)],
)
def test_partners_look_again_several_times_before_the_switch(
    switch_in: timedelta | None, seconds: int
) -> None:
    publication = replace(BOTH, switch_by=None if switch_in is None else NOW + switch_in)
    assert cache_duration(publication, now=NOW) == timedelta(seconds=seconds)
    assert parsed(publication).get("cacheDuration") == f"PT{seconds}S"


def test_hostile_values_stay_values() -> None:
    evil = 'https://acme.example/"><md:Evil xmlns:md="x"/>&amp;<!--]]>'
    root = parsed(
        replace(BOTH, provider=ServiceProvider(entity_id=evil, assertion_consumer_url=evil))
    )
    assert root.get("entityID") == evil
    [service] = root.findall(".//md:AssertionConsumerService", NAMES)
    assert service.get("Location") == evil
    assert [child.tag.rpartition("}")[2] for child in root] == ["Signature", "SPSSODescriptor"]


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\ufffe"])
def test_what_cannot_stand_in_xml_is_refused(character: str) -> None:
    provider = ServiceProvider(entity_id=f"urn:acme:{character}", assertion_consumer_url="x")
    with pytest.raises(InvalidRequestError, match="cannot stand in XML"):
        signed_metadata(replace(BOTH, provider=provider), key=OLD_KEY, now=NOW)


def test_a_key_that_nobody_could_check_signs_nothing() -> None:
    with pytest.raises(ConflictError, match="Ed25519"):
        signed_metadata(BOTH, key=Ed25519PrivateKey.generate(), now=NOW)
    with pytest.raises(ConflictError, match="not that of the certificate"):
        signed_metadata(BOTH, key=NEW_KEY, now=NOW)
