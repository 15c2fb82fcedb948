"""Building certificates and requests out of their parameters (RFC 5280, RFC 2986). Pure."""

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID

from workers.certificates.issuance.alternative_names import general_names
from workers.certificates.issuance.key_types import signature_hash
from workers.certificates.issuance.profiles import PROFILES
from workers.certificates.issuance.subject import distinguished_name
from workers.certificates.private_keys import PrivateKey
from workers.contract.certificates import AlternativeNames, ProfileName, Subject


def self_signed(
    key: PrivateKey,
    *,
    subject: Subject,
    sans: AlternativeNames,
    profile: ProfileName,
    not_before: datetime,
    not_after: datetime,
    serial: int,
) -> x509.Certificate:
    """Return a certificate that its own key signed; it can sign no other."""
    name = distinguished_name(subject)
    public_key = key.public_key()
    key_identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_identifier),
            critical=False,
        )
    )
    for extension, critical in _extensions(key, sans=sans, profile=profile, subject=subject):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, signature_hash(key))


def request(
    key: PrivateKey, *, subject: Subject, sans: AlternativeNames, profile: ProfileName
) -> x509.CertificateSigningRequest:
    """Return the request that a CA is to sign.

    In the model's profile it holds the subject alone (rule 12); the others ask for extensions.
    """
    builder = x509.CertificateSigningRequestBuilder().subject_name(distinguished_name(subject))
    if not PROFILES[profile].is_model:
        for extension, critical in _extensions(key, sans=sans, profile=profile, subject=subject):
            builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, signature_hash(key))


def _extensions(
    key: PrivateKey, *, sans: AlternativeNames, profile: ProfileName, subject: Subject
) -> list[tuple[x509.ExtensionType, bool]]:
    """Return what certificates and requests share, each with whether it is critical."""
    extensions: list[tuple[x509.ExtensionType, bool]] = [(_key_usage(key), True)]
    purposes = [
        purpose
        for purpose, wanted in (
            (ExtendedKeyUsageOID.SERVER_AUTH, PROFILES[profile].server),
            (ExtendedKeyUsageOID.CLIENT_AUTH, PROFILES[profile].client),
        )
        if wanted
    ]
    if purposes:
        extensions.append((x509.ExtendedKeyUsage(purposes), False))
    names = general_names(sans)
    if names:
        # Where nothing else says whom it is for, it must be understood (RFC 5280 §4.2.1.6).
        is_nameless = subject == Subject()
        extensions.append((x509.SubjectAlternativeName(names), is_nameless))
    return extensions


def _key_usage(key: PrivateKey) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        # RSA alone also takes in keys: for SAML assertions, and TLS before 1.3 (RFC 4055 §1.2).
        key_encipherment=isinstance(key, RSAPrivateKey),
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
