"""The bytes of a key wrapped by AES-256-GCM, alike whether a file or a token holds the root key.

A wrap is: format (one byte) | nonce (12) | ciphertext (32) | tag (16). Nonces are random: a root
key wraps far fewer keys than the 2^32 that SP 800-38D §8.3 allows.
"""

from collections.abc import Mapping

from workers.keys.root_keys.root_key import WrappedKeyError

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

_FORMAT = b"\x01"
_LABEL = "keywright wrapped master key v1"


def associated_data(context: Mapping[str, str]) -> bytes:
    """Return ``context`` as bytes that no other context has: each text after its length."""
    texts = [_LABEL]
    for name in sorted(context):
        texts += (name, context[name])
    encoded = (text.encode() for text in texts)
    return b"".join(len(each).to_bytes(4, "big") + each for each in encoded)


def join(nonce: bytes, sealed: bytes) -> bytes:
    """Return the wrap of what AES-GCM made of a key: ciphertext and tag."""
    return _FORMAT + nonce + sealed


def split(wrapped: bytes, identifier: str) -> tuple[bytes, bytes]:
    """Return the nonce of a wrap, and its ciphertext with the tag.

    Raises:
        WrappedKeyError: it is no wrap, or one of a later format.
    """
    if len(wrapped) != len(_FORMAT) + NONCE_BYTES + KEY_BYTES + TAG_BYTES:
        raise WrappedKeyError(
            f"A key wrapped under {identifier} has {len(wrapped)} bytes, which no wrap has; restore"
            " its row from a backup."
        )
    if not wrapped.startswith(_FORMAT):
        raise WrappedKeyError(
            f"A key wrapped under {identifier} is of format {wrapped[0]}, which this keywright does"
            " not know; update keywright, or restore the row from a backup."
        )
    start = len(_FORMAT) + NONCE_BYTES
    return wrapped[len(_FORMAT) : start], wrapped[start:]


def check_key(key: bytes) -> None:
    """Refuse what is no master key, before it is wrapped."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a master key has {KEY_BYTES} bytes")


def does_not_open(identifier: str) -> WrappedKeyError:
    """Return what to raise when a wrap does not authenticate."""
    return WrappedKeyError(
        f"A key wrapped under {identifier} does not open: it is damaged, or stands at an"
        " organization or number that it was not wrapped for; restore its row from a backup."
    )
