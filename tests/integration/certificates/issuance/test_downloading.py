import pytest
from cryptography import x509

from tests.integration.certificates.issuance.workshop import QUICK, Workshop
from workers.certificates.downloading import (
    Download,
    UnsignedError,
    download_certificate,
    download_request,
)
from workers.contract.certificates import Subject
from workers.errors import ConflictError, NotFoundError

SUBJECT = Subject(common_name="www.example.org")


def certificate(acme: Workshop, name: str, version: int | None = None) -> Download:
    return download_certificate(
        acme.connection,
        organization_id=acme.organization_id,
        unique_name=name,
        version_number=version,
    )


def request(acme: Workshop, name: str, version: int | None = None) -> Download:
    return download_request(
        acme.connection,
        organization_id=acme.organization_id,
        unique_name=name,
        version_number=version,
    )


def test_rule_9_a_download_is_a_crt_file_without_the_private_key(acme: Workshop) -> None:
    acme.generate("Signing", key_type="RSA-2048")
    name, content = certificate(acme, "signing")
    assert name == "Signing.crt"
    [only] = x509.load_pem_x509_certificates(content)
    assert only.subject == only.issuer
    assert content.count(b"-----BEGIN ") == 1
    assert b"PRIVATE" not in content


def test_every_version_can_be_had_the_newest_without_asking(acme: Workshop) -> None:
    acme.generate("a")
    first = certificate(acme, "a")
    acme.rekey("a")
    assert certificate(acme, "a") != first
    assert certificate(acme, "a", 1) == first
    with pytest.raises(NotFoundError, match="version 3"):
        certificate(acme, "a", 3)


def test_rule_13_before_it_is_signed_there_is_the_request_alone(acme: Workshop) -> None:
    acme.generate("a", ca_signed=True, subject=SUBJECT, **QUICK)
    with pytest.raises(UnsignedError, match="keywright certificate csr"):
        certificate(acme, "a")
    name, content = request(acme, "a")
    assert name == "a.csr"
    assert content.startswith(b"-----BEGIN CERTIFICATE REQUEST-----\n")
    assert x509.load_pem_x509_csr(content).is_signature_valid


def test_rule_16_the_request_can_be_had_afterwards_too(acme: Workshop) -> None:
    acme.generate("a", ca_signed=True, subject=SUBJECT, **QUICK)
    first = request(acme, "a")
    acme.connection.execute(
        "UPDATE keywright.certificate_version SET certificate_der = %s, chain_der = %s,"
        " not_before = now(), not_after = now() + interval '1 day' WHERE organization_id = %s",
        [b"leaf", [b"issuer"], acme.organization_id],
    )
    assert request(acme, "a") == first
    signed = certificate(acme, "a")
    assert signed.content.count(b"-----BEGIN CERTIFICATE-----") == 2
    acme.rekey("a")
    assert certificate(acme, "a") == signed  # the newest that is signed
    assert request(acme, "a") != first
    assert request(acme, "a", 1) == first


def test_what_no_ca_is_to_sign_has_no_request(acme: Workshop) -> None:
    acme.generate("a")
    with pytest.raises(ConflictError, match="has no request"):
        request(acme, "a")
    with pytest.raises(NotFoundError, match="“b”"):
        request(acme, "b")
