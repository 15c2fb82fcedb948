"""Bringing a master key of one's own (the model's rule 50)."""

import base64
import binascii
import hmac
from dataclasses import replace
from itertools import pairwise

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA512

from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError
from workers.keys import store
from workers.keys.cleartext_key_material import KEY_BYTES, CleartextKey, secret_hash
from workers.keys.root_keys import RootKeys
from workers.keys.rotation import Prepared, RotationOvertakenError, prepare, transactions_of
from workers.keys.rotation_by_hand import RotatedByHand, put_to_use
from workers.keys.states import Origin

_FEWEST_DIFFERENT_BYTES = 16
_HASH_BYTES = 32
_PRINTABLE = range(0x20, 0x7F)
_MOST_TRIES = 100


def read_secret(content: bytes, *, announced_hash: str) -> CleartextKey:
    """Return the key in a file that holds 32 random bytes, as they are or in base64.

    ``announced_hash`` is SHA-256 of the 32 bytes in base64, from whoever made them.

    Raises:
        InvalidRequestError: it holds something else, something weak, or not what was announced.
    """
    material = _decoded(content)
    if len(material) != KEY_BYTES:
        raise InvalidRequestError(
            f"secret: the file holds {len(material)} bytes; a master key has {KEY_BYTES}, as they"
            " are or in base64."
        )
    try:
        expected = base64.b64decode(announced_hash, validate=True)
    except (binascii.Error, ValueError):
        expected = b""
    if len(expected) != _HASH_BYTES:
        raise InvalidRequestError("hash: give SHA-256 of the 32 bytes of the secret in base64.")
    if not hmac.compare_digest(secret_hash(material), expected):
        raise InvalidRequestError(
            "hash: it is not that of the secret in the file; make sure that the secret arrived"
            " whole, and that the hash was taken of its 32 bytes before any encoding."
        )
    _check_is_random(material)
    return CleartextKey(material)


def unwrap_secret(content: bytes, private_key: RSAPrivateKey) -> bytes:
    """Return what was encrypted for ``private_key`` with RSA-OAEP, of SHA-256 or SHA-512.

    Raises:
        InvalidRequestError: it does not open.
    """
    wrapped = _decoded(content)
    for algorithm in (SHA256(), SHA512()):
        try:
            return private_key.decrypt(wrapped, OAEP(MGF1(algorithm), algorithm, label=None))
        except ValueError:
            continue
    raise InvalidRequestError(
        "secret: the private key does not open it; it must be encrypted with RSA-OAEP, SHA-256 or"
        " SHA-512, under the public key that belongs to it."
    )


def upload_key(
    connection: Connection,
    root_keys: RootKeys,
    *,
    organization_id: int,
    secret: CleartextKey,
    actor: str,
    reason: str,
    reencrypt: bool = False,
) -> RotatedByHand:
    """Make a secret that the organization brings its active master key, whichever was before.

    Raises:
        NotFoundError: there is no such organization.
        ConflictError: the secret was a master key before, or was given up because of others.
        Others: as ``rotate``.
    """
    for _ in range(_MOST_TRIES):
        prepared = prepare(
            transactions_of(connection),
            root_keys,
            organization_id=organization_id,
            expected_number=store.active_number(connection, organization_id),
            actor=actor,
            reason=reason,
            material=secret,
            origin=Origin.UPLOADED,
        )
        if isinstance(prepared, Prepared):
            break
        # Somebody rotated meanwhile. Nothing is stored yet, so the secret is still unused.
    else:
        raise RotationOvertakenError("Others rotate all the time; try again later.")
    try:
        with connection.transaction():
            # A secret is accepted once, so it is not given up where another key is active by now.
            store.lock_organization(connection, organization_id)
            active = store.active_number(connection, organization_id)
            prepared = replace(prepared, expected_number=active)
            return put_to_use(connection, prepared, actor=actor, reason=reason, reencrypt=reencrypt)
    except RotationOvertakenError:
        raise ConflictError(
            "Another rotation came in between and gave the secret up; each is accepted once, so"
            " bring a new one."
        ) from None


def _decoded(content: bytes) -> bytes:
    """Return what a file holds, decoded if it is base64 altogether."""
    if len(content) == KEY_BYTES:
        return content
    try:
        return base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error:
        return content


def _check_is_random(material: bytes) -> None:
    """Refuse what people write into such files instead of 256 random bits."""
    steps = {(after - before) % 256 for before, after in pairwise(material)}
    if len(steps) == 1 or len(set(material)) < _FEWEST_DIFFERENT_BYTES:
        raise InvalidRequestError(
            "secret: it repeats itself; make one with a random generator, such as"
            " `openssl rand 32`."
        )
    if all(byte in _PRINTABLE for byte in material):
        raise InvalidRequestError(
            "secret: its 32 bytes are all printable, so it is text and not 256 random bits; make"
            " one with a random generator, such as `openssl rand 32`."
        )
