"""Signed metadata of a SAML 2.0 service provider (SAML metadata 2.0, 2005). Pure.

While a certificate is replaced, two keys are published: whoever checks our signatures has to know
the new one before we use it, and the old one as long as signatures made with it may arrive. The key
that signs our requests now stands first: a partner that looks at one key only looks at the first,
and must not be cut off by the mere announcement of the next. Software that follows the profiles
tries each, as the SAML V2.0 Metadata Interoperability Profile has it.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509 import load_der_x509_certificate

from workers.certificates.private_keys import PrivateKey
from workers.errors import ConflictError, InvalidRequestError

if TYPE_CHECKING:
    from signxml.algorithms import SignatureMethod

MOST_VALID_DAYS = 400

_METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
_PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
_POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
_SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"

_USUAL_CACHE = timedelta(days=1)
_SHORTEST_CACHE = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class ServiceProvider:
    """What a configuration says about itself."""

    entity_id: str
    assertion_consumer_url: str


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What is published until when.

    ``certificates`` are DER, the one that signs requests now first. ``switch_by`` is when the
    other is to take over; None: there is no other, or it has done so. ``document_id`` is fresh for
    each document, and begins with a letter or an underscore.
    """

    provider: ServiceProvider
    certificates: Sequence[bytes]
    switch_by: datetime | None
    valid_days: int
    document_id: str


def valid_until(publication: Publication, *, now: datetime) -> datetime:
    """Return when a copy of the metadata is to be thrown away.

    Raises:
        InvalidRequestError: ``valid_days`` is out of range.
        ConflictError: the certificate that signs has ended.
    """
    if not 1 <= publication.valid_days <= MOST_VALID_DAYS:
        raise InvalidRequestError(f"valid_days: 1 to {MOST_VALID_DAYS}.")
    end = load_der_x509_certificate(publication.certificates[0]).not_valid_after_utc
    if end <= now:
        raise ConflictError(
            f"The certificate that signs ended on {end:%Y-%m-%d %H:%M} UTC; replace it, without"
            " overlap if need be, and publish what follows."
        )
    return min(now + timedelta(days=publication.valid_days), end)


def cache_duration(publication: Publication, *, now: datetime) -> timedelta:
    """Return how soon partners are to look again: several times before the switch, if one comes."""
    if publication.switch_by is None:
        return _USUAL_CACHE
    return max(_SHORTEST_CACHE, min(_USUAL_CACHE, (publication.switch_by - now) / 4))


def signed_metadata(publication: Publication, *, key: PrivateKey, now: datetime) -> bytes:
    """Return the EntityDescriptor as XML, signed with ``key``, that of the first certificate.

    Raises:
        ConflictError: the key is none that partners can check, or its certificate has ended.
        InvalidRequestError: ``valid_days`` is out of range, or a value cannot stand in XML.
    """
    # Here, so that nothing else of keywright waits for an XML library to load.
    from lxml import etree  # noqa: PLC0415
    from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm  # noqa: PLC0415
    from signxml.signer import XMLSigner  # noqa: PLC0415

    if isinstance(key, Ed25519PrivateKey):
        raise ConflictError(
            "SAML partners cannot check signatures by an Ed25519 key; let a certificate with an RSA"
            " or an EC key take its place."
        )
    certificate = load_der_x509_certificate(publication.certificates[0])
    if certificate.public_key() != key.public_key():
        raise ConflictError("The private key is not that of the certificate; nobody could check.")
    try:
        descriptor = _descriptor(publication, now=now)
    except ValueError as error:  # lxml: a control character
        raise InvalidRequestError(
            "entity_id, assertion_consumer_url: a character of it cannot stand in XML."
        ) from error
    signed = XMLSigner(
        signature_algorithm=_method(key),
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    ).sign(
        descriptor,
        key=key,
        cert=[certificate],
        reference_uri=descriptor.get("ID"),
        id_attribute="ID",
    )
    xml: bytes = etree.tostring(signed, xml_declaration=True, encoding="UTF-8")
    return xml


def _method(key: RSAPrivateKey | EllipticCurvePrivateKey) -> "SignatureMethod":
    from signxml.algorithms import SignatureMethod  # noqa: PLC0415

    if isinstance(key, RSAPrivateKey):
        return SignatureMethod.RSA_SHA256
    long = key.curve.key_size > 256  # noqa: PLR2004
    return SignatureMethod.ECDSA_SHA384 if long else SignatureMethod.ECDSA_SHA256


def _descriptor(publication: Publication, *, now: datetime) -> Any:
    """Return the unsigned EntityDescriptor, with the place where its signature goes."""
    from lxml import etree  # noqa: PLC0415

    provider = publication.provider
    root = etree.Element(
        _md("EntityDescriptor"),
        {
            "entityID": provider.entity_id,
            "ID": publication.document_id,
            "validUntil": _moment(valid_until(publication, now=now)),
            "cacheDuration": _duration(cache_duration(publication, now=now)),
        },
        nsmap={"md": _METADATA, "ds": _SIGNATURE},
    )
    # The schema wants the signature first; signxml puts it where this stands.
    etree.SubElement(root, f"{{{_SIGNATURE}}}Signature", {"Id": "placeholder"})
    role = etree.SubElement(
        root,
        _md("SPSSODescriptor"),
        {
            "AuthnRequestsSigned": "true",
            "WantAssertionsSigned": "true",
            "protocolSupportEnumeration": _PROTOCOL,
        },
    )
    for der in publication.certificates:
        descriptor = etree.SubElement(role, _md("KeyDescriptor"), {"use": "signing"})
        info = etree.SubElement(descriptor, f"{{{_SIGNATURE}}}KeyInfo")
        data = etree.SubElement(info, f"{{{_SIGNATURE}}}X509Data")
        text = etree.SubElement(data, f"{{{_SIGNATURE}}}X509Certificate")
        text.text = b64encode(der).decode()
    etree.SubElement(
        role,
        _md("AssertionConsumerService"),
        {
            "Binding": _POST,
            "Location": provider.assertion_consumer_url,
            "index": "0",
            "isDefault": "true",
        },
    )
    return root


def _md(name: str) -> str:
    return f"{{{_METADATA}}}{name}"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _duration(duration: timedelta) -> str:
    """Return an xs:duration."""
    return f"PT{int(duration.total_seconds())}S"
