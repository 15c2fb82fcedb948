"""Sealing secrets to a public key: HPKE (RFC 9180), which anybody can do. Pure.

The suite is DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, in base mode and in one shot.
"""

import base64
import json
import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from workers.contract.secrets import SEALED, purpose_of
from workers.errors import InvalidRequestError

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
SUITE_NAME = "DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM"
MOST_CHARACTERS = 1024
"""Of a secret, as of one that is handed over."""

_KEY_ID = re.compile("[a-z0-9]{8,32}")


@dataclass(frozen=True, kw_only=True)
class PublishedKey:
    """What secrets are sealed to: its id, and 32 bytes of X25519."""

    sealing_key_id: str
    public_key: bytes

    def as_json(self) -> dict[str, str]:
        """Return it as it is published."""
        return {
            "sealing_key_id": self.sealing_key_id,
            "suite": SUITE_NAME,
            "public_key": encode(self.public_key),
        }

    @classmethod
    def from_json(cls, text: str) -> "PublishedKey":
        """Read what was published.

        Raises:
            InvalidRequestError: it is nothing of the kind.
        """
        try:
            said = json.loads(text)
            key = cls(sealing_key_id=said["sealing_key_id"], public_key=decode(said["public_key"]))
            # A point of low order shows itself in use alone (RFC 7748 §6.1).
            SUITE.encrypt(b"", X25519PublicKey.from_public_bytes(key.public_key))
            fits = _KEY_ID.fullmatch(key.sealing_key_id) and said["suite"] == SUITE_NAME
        except (ValueError, KeyError, TypeError, RecursionError):
            fits = None
        if not fits:
            raise InvalidRequestError(
                "--public-key: no published sealing key; `keywright sealing-key show --json` is."
            )
        return key


def seal(key: PublishedKey, secret: str, *, organization: str, kind: str, argument: str) -> str:
    """Return a secret as a job's argument takes it, bound to where it may be used.

    Raises:
        InvalidRequestError: it is empty or too long.
    """
    if not 1 <= len(secret) <= MOST_CHARACTERS or "\0" in secret:
        raise InvalidRequestError(f"secret: a secret has 1 to {MOST_CHARACTERS} characters.")
    try:
        encoded = secret.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError(
            "secret: it holds half a surrogate pair; leave that out."
        ) from None
    sealed = SUITE.encrypt(
        encoded,
        X25519PublicKey.from_public_bytes(key.public_key),
        purpose_of(organization, kind, argument),
    )
    return f"{SEALED}{key.sealing_key_id}:{encode(sealed)}"


def encode(data: bytes) -> str:
    """Return base64url without padding (RFC 4648 §5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Read base64url without padding.

    Raises:
        ValueError: it is none.
    """
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
