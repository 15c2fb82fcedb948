"""Who signed a certificate, and how well: RSA, ECDSA and EdDSA alike. Pure."""

from contextlib import suppress

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPublicKey
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from workers.certificates.reading.der import CONTEXT_0, MalformedError, read_element
from workers.certificates.signing.candidates import Candidate

_WEAK_HASHES = {"md5": "MD5", "sha1": "SHA-1"}
# Signatures that the library does not even know, beside those it tells the hash of.
_WEAK_SIGNATURES = {
    "1.2.840.113549.1.1.2": "MD2",
    "1.2.840.113549.1.1.3": "MD4",
    "1.2.840.113549.1.1.4": "MD5",
    "1.2.840.113549.1.1.5": "SHA-1",
    "1.2.840.10040.4.3": "SHA-1",
    "1.2.840.10045.4.1": "SHA-1",
    "1.3.14.3.2.29": "SHA-1",
}
_KNOWN_KEYS = (
    RSAPublicKey,
    EllipticCurvePublicKey,
    DSAPublicKey,
    Ed25519PublicKey,
    Ed448PublicKey,
)


def was_signed_by(issued: Candidate, issuer: Candidate) -> bool | None:
    """Whether the key of ``issuer`` signed ``issued``; None if that cannot be found out.

    Names are not looked at.
    """
    certificate, key = issued.certificate, issuer.public_key
    if certificate is None or key is None:
        return None
    if not _names_one_algorithm(issued.found.der):
        return False  # RFC 5280 §4.1.1.2: the signed part says how it is signed
    try:
        return _verify(certificate, key)
    except InvalidSignature:
        return False
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _verify(certificate: x509.Certificate, key: CertificatePublicKeyTypes) -> bool | None:
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    parameters = certificate.signature_algorithm_parameters
    digest = certificate.signature_hash_algorithm
    match key:
        case RSAPublicKey() if digest and not isinstance(parameters, ECDSA):
            # The library does not tell the padding of what it would never sign, such as MD5.
            key.verify(signature, signed, parameters or PKCS1v15(), digest)
        case EllipticCurvePublicKey() if isinstance(parameters, ECDSA):
            key.verify(signature, signed, parameters)
        case DSAPublicKey() if digest and parameters is None:
            key.verify(signature, signed, digest)
        case Ed25519PublicKey() | Ed448PublicKey() if digest is None:
            key.verify(signature, signed)
        case _:
            return False if isinstance(key, _KNOWN_KEYS) else None
    return True


def is_root(candidate: Candidate) -> bool:
    """Whether a certificate names itself as its issuer, and is signed by its own key."""
    return candidate.is_self_issued and was_signed_by(candidate, candidate) is not False


def why_signature_is_weak(issued: Candidate) -> str | None:
    """Return how a certificate is signed, if nobody should rely on that any more."""
    if issued.certificate is None:
        return None
    kind = issued.certificate.signature_algorithm_oid.dotted_string
    with suppress(ValueError, UnsupportedAlgorithm):
        digest = issued.certificate.signature_hash_algorithm
        return _WEAK_HASHES.get(digest.name) if digest is not None else None
    return _WEAK_SIGNATURES.get(kind, f"an algorithm that is not known here ({kind})")


def _names_one_algorithm(der: bytes) -> bool:
    try:
        signed, algorithm, _ = read_element(der).children()
        first, second, third, *_ = signed.children()
    except (MalformedError, ValueError):
        return False
    inner = third if first.tag == CONTEXT_0 else second
    return inner.encoded == algorithm.encoded
