"""Private keys at rest: an encrypted field like any other, under the organization's master key.

The associated data binds each to its version's row, and rotation and re-encryption find them in
``certificate_version.private_key`` as they find any registered column. SQL only, beside the door.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from workers.database.pool import Connection
from workers.encryption import FieldCipher
from workers.errors import ConflictError, PermanentError

FIELD = "certificate.private_key"

PrivateKey: TypeAlias = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey


class NoPrivateKeyError(ConflictError):
    """What was asked for needs a private key that is not here."""

    code = "no-private-key"
    title = "There is no private key"


class PrivateKeys:
    """Seals and opens the private keys of certificate versions; thread-safe, one per process."""

    def __init__(self, cipher: FieldCipher) -> None:
        self._cipher = cipher

    def make_ready(self, organization_id: int) -> None:
        """Let the organization have a master key; called before its row is locked.

        Raises:
            NotFoundError: there is no such organization.
            RootKeyUnavailableError: the key cannot be wrapped right now.
        """
        self._cipher.make_ready(organization_id)

    def seal(
        self, connection: Connection, *, organization_id: int, keys: Mapping[int, bytes]
    ) -> dict[int, bytes]:
        """Return PKCS #8 DER by version id as it is to be stored, in the same transaction.

        Raises:
            NoTransactionError: there is no transaction.
            RootKeyUnavailableError: the master key cannot be unwrapped right now.
        """
        if not keys:
            return {}
        with self._cipher.writing(connection, organization_id=organization_id) as writer:
            sealed = writer.encrypt_many(FIELD, [((each,), key) for each, key in keys.items()])
        return {
            version_id: value
            for version_id, value in zip(keys, sealed, strict=True)
            if isinstance(value, bytes)
        }

    def open(
        self, connection: Connection, *, organization_id: int, version_ids: Sequence[int]
    ) -> dict[int, bytes]:
        """Return the PKCS #8 DER of those versions that have a private key.

        Raises:
            PermanentError: one of them cannot be opened; the text names its version.
            RootKeyUnavailableError: the master key cannot be unwrapped right now.
        """
        rows = connection.execute(
            """
            SELECT version_id, private_key FROM keywright.certificate_version
             WHERE organization_id = %(organization_id)s AND version_id = ANY (%(version_ids)s)
               AND private_key IS NOT NULL
            """,
            {"organization_id": organization_id, "version_ids": list(version_ids)},
            binary=True,
        ).fetchall()
        opened = self._cipher.decrypt_many(
            FIELD, organization_id=organization_id, values=[((row[0],), row[1]) for row in rows]
        )
        keys: dict[int, bytes] = {}
        for (version_id, _), key in zip(rows, opened, strict=True):
            if isinstance(key, PermanentError):
                raise key
            assert isinstance(key, bytes)
            keys[version_id] = key
        return keys

    def load(
        self, connection: Connection, *, organization_id: int, version_ids: Sequence[int]
    ) -> dict[int, PrivateKey]:
        """Return the private keys of those versions that have one, ready for use.

        Raises:
            PermanentError, RootKeyUnavailableError: as ``open``.
        """
        opened = self.open(connection, organization_id=organization_id, version_ids=version_ids)
        return {version_id: load_own_key(der) for version_id, der in opened.items()}


def load_own_key(der: bytes) -> PrivateKey:
    """Return a key that was checked when it came in and kept authenticated since.

    Checking the primes of an RSA key again would take a thousand times as long as loading it.
    """
    key = load_der_private_key(der, password=None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey)
    return key
