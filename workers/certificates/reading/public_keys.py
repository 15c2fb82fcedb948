"""The algorithm and size of a public key, from its SubjectPublicKeyInfo (RFC 5280 §4.1.2.7). Pure.

The key itself is never loaded: a library that does not know an algorithm, or dislikes a key's
numbers, must not keep its certificate from being watched.
"""

from workers.certificates.reading.der import (
    BIT_STRING,
    INTEGER,
    OID,
    Element,
    MalformedError,
    oid_text,
    read_element,
)

_RSA = ("1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10", "1.2.840.113549.1.1.7")
_EC = "1.2.840.10045.2.1"
_DSA = "1.2.840.10040.4.1"

_CURVES = {
    "1.2.840.10045.3.1.1": "P-192",
    "1.3.132.0.33": "P-224",
    "1.2.840.10045.3.1.7": "P-256",
    "1.3.132.0.34": "P-384",
    "1.3.132.0.35": "P-521",
    "1.3.132.0.10": "secp256k1",
    "1.3.36.3.3.2.8.1.1.7": "brainpoolP256r1",
    "1.3.36.3.3.2.8.1.1.11": "brainpoolP384r1",
    "1.3.36.3.3.2.8.1.1.13": "brainpoolP512r1",
    "1.2.156.10197.1.301": "SM2",
}
# Algorithms whose name says it all.
_NAMES = {
    "1.3.101.110": "X25519",
    "1.3.101.111": "X448",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
    "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
    "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
    "2.16.840.1.101.3.4.3.20": "SLH-DSA-SHA2-128s",
    "2.16.840.1.101.3.4.3.21": "SLH-DSA-SHA2-128f",
    "2.16.840.1.101.3.4.3.22": "SLH-DSA-SHA2-192s",
    "2.16.840.1.101.3.4.3.23": "SLH-DSA-SHA2-192f",
    "2.16.840.1.101.3.4.3.24": "SLH-DSA-SHA2-256s",
    "2.16.840.1.101.3.4.3.25": "SLH-DSA-SHA2-256f",
    "2.16.840.1.101.3.4.3.26": "SLH-DSA-SHAKE-128s",
    "2.16.840.1.101.3.4.3.27": "SLH-DSA-SHAKE-128f",
    "2.16.840.1.101.3.4.3.28": "SLH-DSA-SHAKE-192s",
    "2.16.840.1.101.3.4.3.29": "SLH-DSA-SHAKE-192f",
    "2.16.840.1.101.3.4.3.30": "SLH-DSA-SHAKE-256s",
    "2.16.840.1.101.3.4.3.31": "SLH-DSA-SHAKE-256f",
}


def describe_public_key(info: Element) -> tuple[str, int | None]:
    """Return the algorithm, such as ``RSA`` or ``EC P-256``, and the bits where they are apart.

    Whatever is strange about the key, there is an answer: ``unknown (1.2.3.4)``, ``unknown``.
    """
    try:
        identifier, key = list(info.children())[:2]
        algorithm, *parameters = list(identifier.children())[:2]
        oid = oid_text(algorithm.content)
    except (MalformedError, ValueError):
        return "unknown", None
    if oid in _RSA:
        return "RSA", _bits(_first_number_in(_unwrapped(key)))
    if oid == _EC:
        return _name_curve(parameters), None
    if oid == _DSA:
        return "DSA", _bits(_first_number_in(parameters[0] if parameters else None))
    return _NAMES.get(oid, f"unknown ({oid})"), None


def _name_curve(parameters: list[Element]) -> str:
    if not parameters or parameters[0].tag != OID:
        return "EC with explicit parameters"
    try:
        oid = oid_text(parameters[0].content)
    except MalformedError:
        return "EC"
    return f"EC {_CURVES.get(oid, oid)}"


def _unwrapped(key: Element) -> Element | None:
    # The first byte of a BIT STRING counts its unused bits.
    if key.tag != BIT_STRING:
        return None
    try:
        return read_element(key.content, 1)
    except MalformedError:
        return None


def _first_number_in(sequence: Element | None) -> Element | None:
    try:
        return next(sequence.children(), None) if sequence is not None else None
    except MalformedError:
        return None


def _bits(number: Element | None) -> int | None:
    if number is None or number.tag != INTEGER:
        return None
    return int.from_bytes(number.content, "big").bit_length() or None
