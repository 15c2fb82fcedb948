"""Encrypting for PKCS #8 and PKCS #12: PBES2 with PBKDF2-HMAC-SHA256 and AES-256-CBC (RFC 8018).

One salt, and so one derived key, serves all parts of a file; each has an initialization vector of
its own. Whoever guesses passwords needs one part only, so a salt for each would cost nobody but
the reader.
"""

import os
from hashlib import pbkdf2_hmac

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC

from workers.certificates.keystores import der_writing as der

# Five times what the JDK writes. Java derives anew for every key, some 15 ms each.
ITERATIONS = 50_000
_SALT_BYTES = 16
_KEY_BYTES = 32
_BLOCK_BYTES = 16

_PBES2, _PBKDF2 = der.oid("1.2.840.113549.1.5.13"), der.oid("1.2.840.113549.1.5.12")
_HMAC_SHA256, _AES256_CBC = der.oid("1.2.840.113549.2.9"), der.oid("2.16.840.1.101.3.4.1.42")


class PasswordEncryption:
    """Encrypts the parts of one file under one password."""

    def __init__(self, password: str) -> None:
        salt = os.urandom(_SALT_BYTES)
        self._key = pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS, _KEY_BYTES)
        self._derivation = der.sequence(
            _PBKDF2,
            der.sequence(
                der.octets(salt),
                der.integer(ITERATIONS),
                der.integer(_KEY_BYTES),
                der.sequence(_HMAC_SHA256, der.null()),
            ),
        )

    def encrypt(self, clear: bytes) -> tuple[bytes, bytes]:
        """Return the AlgorithmIdentifier and the ciphertext."""
        iv = os.urandom(_BLOCK_BYTES)
        padding = _BLOCK_BYTES - len(clear) % _BLOCK_BYTES
        encryptor = Cipher(AES256(self._key), CBC(iv)).encryptor()
        ciphertext = encryptor.update(clear + bytes([padding]) * padding) + encryptor.finalize()
        algorithm = der.sequence(
            _PBES2,
            der.sequence(self._derivation, der.sequence(_AES256_CBC, der.octets(iv))),
        )
        return algorithm, ciphertext

    def encrypt_key(self, private_key: bytes) -> bytes:
        """Return the EncryptedPrivateKeyInfo of a PKCS #8 key (RFC 5208 §6)."""
        algorithm, ciphertext = self.encrypt(private_key)
        return der.sequence(algorithm, der.octets(ciphertext))
