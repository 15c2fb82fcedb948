"""Whether a PKCS #12 file is intact and the password its own: the MAC (RFC 7292 §4, RFC 9579)."""

import hmac

from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.password_encryption import (
    PasswordDecryption,
    WrongPasswordError,
    algorithm_parts,
)
from workers.certificates.keystores.pkcs12_derivation import Use
from workers.certificates.keystores.pkcs12_structure import SHA256, Mac, parts
from workers.certificates.reading.der import INTEGER, Element, MalformedError

_PBMAC1 = "1.2.840.113549.1.5.14"
_DIGESTS = {
    "1.3.14.3.2.26": ("sha1", 20),
    "2.16.840.1.101.3.4.2.4": ("sha224", 28),
    SHA256: ("sha256", 32),
    "2.16.840.1.101.3.4.2.2": ("sha384", 48),
    "2.16.840.1.101.3.4.2.3": ("sha512", 64),
}
_HMACS = {
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
}
_LEAST_KEY, _MOST_KEY = 20, 64  # bytes; RFC 9579 §9 wants no less


def check_mac(
    authenticated: bytes, mac: Mac, password: str, decryption: PasswordDecryption
) -> None:
    """Check that the file is as the holder of the password wrote it.

    Raises:
        WrongPasswordError: it is not, or the password is another.
        KeystoreError: it is protected in a way that is not supported.
        MalformedError: the MAC cannot be read.
    """
    name, parameters = algorithm_parts(mac.algorithm)
    if name == _PBMAC1:
        digest, key = _pbmac1_key(parameters, password, decryption)
    elif name in _DIGESTS:
        digest, size = _DIGESTS[name]
        key = decryption.derive_pkcs12(
            digest, Use.MAC, mac.salt, mac.iterations, password, size=size
        )
    else:
        raise _unsupported(name)
    if not hmac.compare_digest(hmac.digest(key, authenticated, digest), mac.value):
        raise WrongPasswordError


def _pbmac1_key(
    parameters: Element | None, password: str, decryption: PasswordDecryption
) -> tuple[str, bytes]:
    if parameters is None:
        raise MalformedError("the parameters of its MAC are missing")
    derivation, scheme = parts(parameters, 2)[:2]
    _, derivation_parameters = algorithm_parts(derivation)
    hmac_name, _ = algorithm_parts(scheme)
    if hmac_name not in _HMACS:
        raise _unsupported(hmac_name)
    if derivation_parameters is None:
        raise MalformedError("the parameters of its MAC are missing")
    # salt, iterationCount, keyLength (which RFC 9579 §4 demands), prf
    sizes = [each for each in parts(derivation_parameters, 3)[2:] if each.tag == INTEGER]
    size = int.from_bytes(sizes[0].content, "big") if sizes else 0
    if not _LEAST_KEY <= size <= _MOST_KEY:
        raise MalformedError("its MAC states no key length, or an odd one")
    return _HMACS[hmac_name], decryption.derive_pbkdf2(derivation_parameters, password, size)


def _unsupported(name: str) -> KeystoreError:
    return KeystoreError(
        f"The keystore's MAC {name} is not supported; write it again with SHA-256, as keytool and"
        " openssl do by default."
    )
