"""Sealing a master key into an export file, and opening it: two protections, both standard. Pure.

passphrase   AES-256-GCM under a key that scrypt makes of the passphrase. The headers are the
             associated data.
certificate  What PKCS #11 calls CKM_RSA_AES_KEY_WRAP: an ephemeral AES-256 key wrapped with
             RSA-OAEP (SHA-256 and MGF1 of it), followed by the master key wrapped with that by
             AES-KWP (RFC 5649). SHA-256 over the headers is the label of OAEP (RFC 8017 §7.1), so
             that the layout stays what a hardware module knows, and other headers do not open.

In both, the fingerprint among the headers must be that of the key that comes out: it commits the
file to one key, which neither GCM nor KWP does.
"""

import hmac
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)

from workers.errors import InvalidRequestError
from workers.keys.cleartext_key_material import KEY_BYTES, CleartextKey
from workers.keys.export_file import (
    CertificateProtection,
    ExportedKey,
    ExportFile,
    ExportFileError,
    PassphraseProtection,
    authenticated_headers,
    write_export,
)
from workers.keys.rsa_keys import Recipient

SHORTEST_PASSPHRASE = 12
LONGEST_PASSPHRASE = 1024

_ALTERED = "The export was altered: it does not open, although the key for it is the right one."


@dataclass(frozen=True)
class ScryptCost:
    """What trying one passphrase costs: 128 · n · r bytes of memory, p times over."""

    n: int = 2**17
    r: int = 8
    p: int = 1


def describe(
    key: CleartextKey,
    *,
    organization_id: int,
    key_number: int,
    created_at: datetime,
    exported_at: datetime,
) -> ExportedKey:
    """Say which key it is, the way a file says it: times are cut to whole seconds."""
    return ExportedKey(
        organization_id=organization_id,
        key_number=key_number,
        check_value=key.check_value(),
        fingerprint=key.fingerprint(),
        created_at=created_at.replace(microsecond=0),
        exported_at=exported_at.replace(microsecond=0),
    )


def check_passphrase(passphrase: str) -> None:
    """Refuse a passphrase that must not protect a key.

    Raises:
        InvalidRequestError: it is too short or too long.
    """
    if len(_normalised(passphrase).decode()) < SHORTEST_PASSPHRASE:
        raise InvalidRequestError(
            f"passphrase: at least {SHORTEST_PASSPHRASE} characters; five or six random words make"
            " a good one."
        )
    if len(passphrase) > LONGEST_PASSPHRASE:
        raise InvalidRequestError(f"passphrase: at most {LONGEST_PASSPHRASE} characters.")


def seal_with_passphrase(
    key: CleartextKey,
    about: ExportedKey,
    passphrase: str,
    *,
    salt: bytes,
    nonce: bytes,
    cost: ScryptCost = ScryptCost(),
) -> str:
    """Return the text of an export that opens with ``passphrase``.

    ``salt`` (16 bytes) and ``nonce`` (12 bytes) must be random, and never used before.

    Raises:
        InvalidRequestError: the passphrase is too short or too long.
    """
    check_passphrase(passphrase)
    protection = PassphraseProtection(n=cost.n, r=cost.r, p=cost.p, salt=salt, nonce=nonce)
    headers = authenticated_headers(about, protection)
    sealed = _derived(passphrase, protection).encrypt(nonce, key.reveal(), headers)
    return write_export(ExportFile(key=about, protection=protection, sealed=sealed))


def open_with_passphrase(file: ExportFile, passphrase: str) -> CleartextKey:
    """Return the key in a file that was sealed with ``passphrase``.

    Raises:
        ExportFileError: it was sealed to a certificate, the passphrase is another, or the file was
            altered.
    """
    if not isinstance(file.protection, PassphraseProtection):
        raise ExportFileError(
            "The export is sealed to a certificate; name the private key that belongs to it"
            " (--private-key-file)."
        )
    headers = authenticated_headers(file.key, file.protection)
    try:
        opened = _derived(passphrase, file.protection).decrypt(
            file.protection.nonce, file.sealed, headers
        )
    except (InvalidTag, ValueError):
        raise ExportFileError(
            "The passphrase is wrong, or the export was altered; nothing can be told of it without"
            " the right one."
        ) from None
    return _checked(opened, file.key)


def seal_to_certificate(
    key: CleartextKey, about: ExportedKey, recipient: Recipient, *, ephemeral_key: bytes
) -> str:
    """Return the text of an export that opens with the recipient's private key.

    ``ephemeral_key`` (32 bytes) must be random, and never used before.
    """
    protection = CertificateProtection(recipient=recipient.identifier)
    sealed = recipient.public_key.encrypt(ephemeral_key, _oaep(about, protection))
    sealed += aes_key_wrap_with_padding(ephemeral_key, key.reveal())
    return write_export(ExportFile(key=about, protection=protection, sealed=sealed))


def open_with_private_key(file: ExportFile, private_key: RSAPrivateKey) -> CleartextKey:
    """Return the key in a file that was sealed to the certificate of ``private_key``.

    Raises:
        ExportFileError: it was sealed with a passphrase or for another key, or was altered.
    """
    if not isinstance(file.protection, CertificateProtection):
        raise ExportFileError(
            "The export is sealed with a passphrase, not to a certificate; give the passphrase."
        )
    if Recipient(private_key.public_key()).identifier != file.protection.recipient:
        raise ExportFileError(
            "The private key does not belong to the certificate that the export was sealed to, or"
            " the export was altered."
        )
    length = (private_key.key_size + 7) // 8
    try:
        ephemeral_key = private_key.decrypt(file.sealed[:length], _oaep(file.key, file.protection))
        opened = aes_key_unwrap_with_padding(ephemeral_key, file.sealed[length:])
    except (ValueError, InvalidUnwrap):
        raise ExportFileError(_ALTERED) from None
    return _checked(opened, file.key)


def _normalised(passphrase: str) -> bytes:
    """Compose it, so that an accented letter is the same whichever keyboard it came from."""
    try:
        return unicodedata.normalize("NFC", passphrase).encode()
    except UnicodeEncodeError:
        raise InvalidRequestError("passphrase: it is not text in UTF-8.") from None


def _derived(passphrase: str, protection: PassphraseProtection) -> AESGCM:
    scrypt = Scrypt(salt=protection.salt, length=32, n=protection.n, r=protection.r, p=protection.p)
    return AESGCM(scrypt.derive(_normalised(passphrase)))


def _oaep(about: ExportedKey, protection: CertificateProtection) -> OAEP:
    label = sha256(authenticated_headers(about, protection)).digest()
    return OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=label)


def _checked(opened: bytes, about: ExportedKey) -> CleartextKey:
    if len(opened) != KEY_BYTES:
        raise ExportFileError(_ALTERED)
    key = CleartextKey(opened)
    if not hmac.compare_digest(key.fingerprint(), about.fingerprint) or not hmac.compare_digest(
        key.check_value(), about.check_value
    ):
        raise ExportFileError("The export was altered: the key in it is not the one it says.")
    return key
