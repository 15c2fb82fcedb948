"""Decrypting what a password protects in PKCS #8 and PKCS #12: PBES2 and the older schemes.

Nothing is derived before its number of iterations was looked at. Equal derivations are done once:
a file written by keywright has one salt for all its keys.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import pbkdf2_hmac

from Cryptodome.Cipher import ARC2
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.pkcs12_derivation import Use, derive
from workers.certificates.reading.der import (
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    Element,
    MalformedError,
    oid_text,
    read_element,
)

_PBKDF2 = "1.2.840.113549.1.5.12"
_PBES2 = "1.2.840.113549.1.5.13"
_PRFS = {  # RFC 8018 §B.1
    "1.2.840.113549.2.7": "sha1",
    "1.2.840.113549.2.8": "sha224",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
}
# RFC 8018 §B.2: the cipher and the bytes of its key.
_CIPHERS: dict[str, tuple[Callable[[bytes], BlockCipherAlgorithm], int]] = {
    "2.16.840.1.101.3.4.1.2": (AES, 16),
    "2.16.840.1.101.3.4.1.22": (AES, 24),
    "2.16.840.1.101.3.4.1.42": (AES, 32),
    "1.2.840.113549.3.7": (TripleDES, 24),
}
# RFC 7292 §C: bytes of the key.
_TRIPLE_DES = {"1.2.840.113549.1.12.1.3": 24, "1.2.840.113549.1.12.1.4": 16}
_RC2 = {"1.2.840.113549.1.12.1.5": 16, "1.2.840.113549.1.12.1.6": 5}
_SMALL_BLOCK = 8

# An OCTET STRING under its own tag or an implicit [0], and the same in parts.
_WHOLE, _IN_PARTS = (OCTET_STRING, 0x80), (OCTET_STRING | 0x20, 0xA0)

# All derivations of a file together may cost this many times what one may.
_DERIVATIONS_AT_MOST = 10


class WrongPasswordError(Exception):
    """The password does not open it."""


def opened_key(clear: bytes) -> bytes:
    """Return a decrypted key, if it is one ASN.1 structure.

    With a wrong password the padding fits once in 256 times, and what stands before it is noise.

    Raises:
        WrongPasswordError: it is none.
    """
    try:
        element = read_element(clear)
    except MalformedError:
        raise WrongPasswordError from None
    if element.tag != SEQUENCE or element.end != len(clear):
        raise WrongPasswordError
    return clear


@dataclass
class PasswordDecryption:
    """Decrypts the parts of one file; within its limits, whatever the file asks for."""

    max_iterations: int
    _spent: int = 0
    _derived: dict[tuple[object, ...], bytes] = field(default_factory=dict, repr=False)

    def decrypt(self, algorithm: Element, ciphertext: bytes, password: str) -> bytes:
        """Return the cleartext; ``algorithm`` is the AlgorithmIdentifier.

        Raises:
            WrongPasswordError: most likely; a damaged ciphertext looks the same.
            KeystoreError: the scheme is not supported, or wants too many iterations.
            MalformedError: the parameters cannot be read.
        """
        name, parameters = algorithm_parts(algorithm)
        if name == _PBES2:
            return self._decrypt_pbes2(parameters, ciphertext, password)
        if name in _TRIPLE_DES:
            key, iv = self._old_key(parameters, password, _TRIPLE_DES[name])
            # With two keys, the third is the first again.
            return _cbc(TripleDES((key + key[:8])[:24]), iv, ciphertext)
        if name in _RC2:
            key, iv = self._old_key(parameters, password, _RC2[name])
            return _rc2(key, iv, ciphertext)
        raise _unsupported(f"the encryption {name}")

    def derive_pbkdf2(self, parameters: Element | None, password: str, size: int) -> bytes:
        """Return a key of ``size`` bytes by PBKDF2 (RFC 8018 §A.2).

        Raises:
            KeystoreError, MalformedError: as ``decrypt``.
        """
        salt, iterations, *rest = _children(parameters)
        prf = next((each for each in rest if each.tag == SEQUENCE), None)
        prf_name = algorithm_parts(prf)[0] if prf else "1.2.840.113549.2.7"
        if prf_name not in _PRFS:
            raise _unsupported(f"the pseudo-random function {prf_name}")
        count = self.count(iterations)
        salt_bytes = octets(salt)
        return self._once(
            ("pbkdf2", prf_name, salt_bytes, count, password, size),
            count,
            lambda: pbkdf2_hmac(_PRFS[prf_name], password.encode(), salt_bytes, count, size),
        )

    def derive_pkcs12(
        self,
        digest: str,
        use: Use,
        salt: bytes,
        iterations: Element | None,
        password: str,
        *,
        size: int,
    ) -> bytes:
        """Return a key of ``size`` bytes by the derivation of PKCS #12 (RFC 7292 §B).

        Raises:
            KeystoreError, MalformedError: as ``decrypt``.
        """
        count = 1 if iterations is None else self.count(iterations)  # RFC 7292 §4: the default
        return self._once(
            (digest, use, salt, count, password, size),
            count,
            lambda: derive(digest, use, password, salt, iterations=count, size=size),
        )

    def count(self, iterations: Element) -> int:
        """Return a number of iterations, if it is one that may be asked for.

        Raises:
            KeystoreError: it is not.
        """
        if iterations.tag != INTEGER:
            raise MalformedError("the number of iterations cannot be read")
        count = int.from_bytes(iterations.content, "big", signed=True)
        if not 0 < count <= self.max_iterations:
            raise KeystoreError(
                "The keystore wants more iterations of its key derivation than the"
                f" {self.max_iterations:,} allowed; write it again with fewer."
                if count > 0
                else "The keystore's number of iterations is not above zero; write it again."
            )
        return count

    def _decrypt_pbes2(self, parameters: Element | None, ciphertext: bytes, password: str) -> bytes:
        derivation, scheme, *_ = _children(parameters)
        derivation_name, derivation_parameters = algorithm_parts(derivation)
        if derivation_name != _PBKDF2:
            raise _unsupported(f"the key derivation {derivation_name}")
        cipher_name, iv = algorithm_parts(scheme)
        if cipher_name not in _CIPHERS or iv is None:
            raise _unsupported(f"the cipher {cipher_name}")
        cipher, size = _CIPHERS[cipher_name]
        key = self.derive_pbkdf2(derivation_parameters, password, size)
        return _cbc(cipher(key), octets(iv), ciphertext)

    def _old_key(self, parameters: Element | None, password: str, size: int) -> tuple[bytes, bytes]:
        salt, iterations, *_ = _children(parameters)
        key, iv = (
            self.derive_pkcs12("sha1", use, octets(salt), iterations, password, size=length)
            for use, length in ((Use.KEY, size), (Use.IV, _SMALL_BLOCK))
        )
        return key, iv

    def _once(self, what: tuple[object, ...], cost: int, work: Callable[[], bytes]) -> bytes:
        known = self._derived.get(what)
        if known is None:
            self._spent += cost
            if self._spent > _DERIVATIONS_AT_MOST * self.max_iterations:
                raise KeystoreError(
                    "All entries of the keystore together want more iterations of key derivation"
                    f" than the {_DERIVATIONS_AT_MOST * self.max_iterations:,} allowed; divide it."
                )
            known = self._derived[what] = work()
        return known


def algorithm_parts(algorithm: Element) -> tuple[str, Element | None]:
    """Return the name and the parameters of an AlgorithmIdentifier.

    Raises:
        MalformedError: it is none.
    """
    name, *parameters = _children(algorithm, least=1)
    if name.tag != OID:
        raise MalformedError("an algorithm's name cannot be read")
    return oid_text(name.content), parameters[0] if parameters else None


def octets(element: Element) -> bytes:
    """Return an OCTET STRING's value, also if it is in parts, as BER allows (X.690 §8.7.3).

    Raises:
        MalformedError: it is none.
    """
    if element.tag in _WHOLE:
        return element.content
    if element.tag in _IN_PARTS:
        parts = list(element.children())
        if all(part.tag == OCTET_STRING for part in parts):
            return b"".join(part.content for part in parts)
    raise MalformedError("a value that should be bytes is not")


def _children(element: Element | None, *, least: int = 2) -> list[Element]:
    children = [] if element is None or element.tag != SEQUENCE else list(element.children())
    if len(children) < least:
        raise MalformedError("the parameters of its encryption cannot be read")
    return children


def _cbc(cipher: BlockCipherAlgorithm, iv: bytes, ciphertext: bytes) -> bytes:
    if len(iv) * 8 != cipher.block_size:
        raise MalformedError("the initialization vector has the wrong length")
    if not ciphertext or len(ciphertext) % len(iv):
        raise MalformedError("an encrypted part has a length that no block cipher gives")
    decryptor = Cipher(cipher, CBC(iv)).decryptor()
    return _without_padding(decryptor.update(ciphertext) + decryptor.finalize(), len(iv))


def _rc2(key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    if not ciphertext or len(ciphertext) % _SMALL_BLOCK:
        raise MalformedError("an encrypted part has a length that no block cipher gives")
    # cryptography has RC2 with 128 bits only; pyjks brings this library along, whose stub forgets
    # an argument. Old files are read so; nothing is written.
    strength = {"effective_keylen": len(key) * 8}
    cipher = ARC2.new(key, ARC2.MODE_CBC, iv, **strength)  # type: ignore[arg-type]  # noqa: S304
    return _without_padding(cipher.decrypt(ciphertext), _SMALL_BLOCK)


def _without_padding(padded: bytes, block: int) -> bytes:
    # No oracle: what is decrypted here has passed the MAC, or is refused as a whole.
    count = padded[-1]
    if not 0 < count <= block or padded[-count:] != bytes([count]) * count:
        raise WrongPasswordError
    return padded[:-count]


def _unsupported(what: str) -> KeystoreError:
    return KeystoreError(
        f"The keystore uses {what}, which is not supported; write it again with AES-256, as"
        " keytool and openssl do by default."
    )
