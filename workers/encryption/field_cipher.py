"""Reading and writing the values of encrypted fields: what an application uses."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

from workers.database.address import with_verification
from workers.database.pool import Acting, Connection, Pool, connect, open_pool
from workers.database.schema import check_schema
from workers.encryption.ciphertext import (
    DecryptionError,
    Stored,
    from_stored,
    named_key,
    open_sealed,
    parse,
    text_of,
)
from workers.encryption.fence import hold_fence
from workers.encryption.field_writer import FieldWriter
from workers.encryption.known_fields import KnownField, KnownFields
from workers.encryption.masks import mask
from workers.errors import PermanentError
from workers.keys.keyring import DestroyedKeyError, KeyRing, SuspendedKeyError, UnknownKeyError
from workers.keys.root_keys.opening import open_root_keys

Opened: TypeAlias = Stored | PermanentError | None
"""A value of a batch: opened, absent, or why it cannot be opened."""

UNREADABLE = (DecryptionError, UnknownKeyError, DestroyedKeyError, SuspendedKeyError)
"""What is wrong with one value, and leaves its neighbours readable."""

_POOL_SIZE = 4

# Its own writes are of keys: the first of an organization, and counts of use.
_ITSELF = Acting("keywright:field_cipher", "python")


class FieldCipher:
    """Encrypts and decrypts the values of registered fields; thread-safe, one per process.

    Columns of type bytea take and give bytes, columns of type text str, for plaintext and
    ciphertext alike. NULL (None) stays NULL. ``pool`` holds autocommit connections to keywright's
    own database; a field's definition is remembered for ``max_age_seconds``.
    """

    def __init__(
        self,
        keyring: KeyRing,
        pool: Pool,
        *,
        max_age_seconds: float = 30,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keyring = keyring
        self._fields = KnownFields(pool, max_age_seconds=max_age_seconds, clock=clock)
        self._own_pool: Pool | None = None

    @classmethod
    def connect(
        cls,
        *,
        database_url: str,
        root_key: str,
        former_root_key: str | None = None,
        ca_file: Path | None = None,
    ) -> Self:
        """Open a cipher with connections of its own; close it, or use it in a ``with``.

        The arguments are those of ``KEYWRIGHT_DATABASE_URL``, ``KEYWRIGHT_ROOT_KEY``,
        ``KEYWRIGHT_FORMER_ROOT_KEY`` and ``KEYWRIGHT_CA_FILE``.

        Raises:
            DatabaseUnavailableError: nothing answers, or it refuses us.
            ConflictError: the database has no schema, or one of another version.
            InvalidRequestError: one of the texts is malformed.
        """
        root_keys = open_root_keys(root_key, former_root_key)
        database_url = with_verification(database_url, ca_file)
        with connect(database_url, name="field cipher") as connection:
            check_schema(connection)
        pool = open_pool(database_url, size=_POOL_SIZE, name="field cipher", acting=_ITSELF)
        cipher = cls(KeyRing(pool, root_keys), pool)
        cipher._own_pool = pool
        return cipher

    def close(self) -> None:
        """Close the connections that ``connect`` opened."""
        if self._own_pool is not None:
            self._own_pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def writing(self, connection: Connection, *, organization_id: int) -> Iterator[FieldWriter]:
        """Hold the organization's write fence and yield what encrypts its values.

        ``connection`` is the application's own, to the database that holds the fields, in the
        transaction that writes them. The fence is held until that transaction ends.

        Raises:
            NoTransactionError: there is no transaction that would hold the fence.
        """
        hold_fence(connection, organization_id)
        writer = FieldWriter(self._keyring, self._fields, organization_id)
        try:
            yield writer
        finally:
            writer.close()

    def make_ready(self, organization_id: int) -> None:
        """Let an organization have a master key, before its row is locked and values encrypted.

        Raises:
            NotFoundError: there is no such organization.
            RootKeyUnavailableError: the key cannot be wrapped right now.
        """
        self._keyring.make_ready(organization_id)

    def decrypt(
        self, field_name: str, *, organization_id: int, row: Sequence[Any], value: Stored | None
    ) -> Stored | None:
        """Return what a stored value holds; ``row`` has the values of the table's key columns.

        While a field is being encrypted or decrypted, its column holds both kinds: a value that
        names one of the organization's keys is ciphertext, any other comes back unchanged.

        Raises:
            NotFoundError: there is no such field.
            InvalidRequestError: the value, the row or the organization does not fit the field.
            NotCiphertextError: it is plaintext, in a field that holds nothing but ciphertext.
            MalformedCiphertextError: it begins like a ciphertext and is none.
            UnknownKeyError, DestroyedKeyError, SuspendedKeyError: of the key that it names.
            TagMismatchError: it was altered, or belongs to another row, field or organization.
            RootKeyUnavailableError: the key cannot be unwrapped right now.
        """
        [opened] = self.decrypt_many(
            field_name, organization_id=organization_id, values=[(row, value)]
        )
        if isinstance(opened, PermanentError):
            raise opened
        return opened

    def decrypt_many(
        self,
        field_name: str,
        *,
        organization_id: int,
        values: Iterable[tuple[Sequence[Any], Stored | None]],
    ) -> list[Opened]:
        """Return many values of a field, each given with its row.

        In the place of one that cannot be opened stands the error; the others are not affected.

        Raises:
            NotFoundError, InvalidRequestError, RootKeyUnavailableError: as ``decrypt``.
        """
        given = list(values)
        known = self._fields.recent(field_name)
        opened = [self._open(known, organization_id, row, value) for row, value in given]
        if not any(isinstance(each, PermanentError) for each in opened):
            return opened
        # What we remember of the field may be out of date, so nothing is refused because of it.
        known = self._fields.fresh(field_name)
        opened = [
            self._open(known, organization_id, row, value)
            if isinstance(before, PermanentError)
            else before
            for before, (row, value) in zip(opened, given, strict=True)
        ]
        if known.field.state != "plaintext":
            return opened
        # In a field that holds plaintext, what does not open is no ciphertext.
        return [
            value if isinstance(each, PermanentError) else each
            for each, (_, value) in zip(opened, given, strict=True)
        ]

    def reveal(
        self,
        field_name: str,
        *,
        organization_id: int,
        row: Sequence[Any],
        value: Stored | None,
        may_view_encrypted_data: bool,
    ) -> str | None:
        """Return a value as it may be shown: masked, unless the viewer may view encrypted data.

        ``workers.encryption.viewing.may_view`` says who may. For mail and logs, nobody may.

        Raises:
            KeywrightError: as ``decrypt``.
        """
        opened = self.decrypt(field_name, organization_id=organization_id, row=row, value=value)
        if opened is None:
            return None
        text = opened if isinstance(opened, str) else opened.decode(errors="replace")
        if may_view_encrypted_data:
            return text
        field = self._fields.recent(field_name).field
        return mask(text, field.mask_type, field.mask_character)

    def _open(
        self, known: KnownField, organization_id: int, row: Sequence[Any], value: Stored | None
    ) -> Opened:
        known.check_organization(organization_id)
        row_key = known.encode_row(row)
        if value is None:
            return None
        known.check_value(value)
        try:
            if known.field.accepts_plaintext and not self._names_our_key(organization_id, value):
                return value
            return self._decrypt(known, organization_id, row_key, value)
        except UNREADABLE as error:
            return error

    def _names_our_key(self, organization_id: int, value: Stored) -> bool:
        number = named_key(value)
        if number is None:
            return False
        try:
            self._keyring.key(organization_id, number)
        except UnknownKeyError:
            return False
        except (DestroyedKeyError, SuspendedKeyError):
            return True
        return True

    def _decrypt(
        self, known: KnownField, organization_id: int, row_key: bytes, value: Stored
    ) -> Stored:
        binary = from_stored(value)
        number = parse(binary).key_number
        aead = self._keyring.key(organization_id, number).field_aead(known.field.field_id)
        associated_data = known.associated_data(number, organization_id, row_key)
        plaintext = open_sealed(aead, binary, associated_data)
        return text_of(plaintext) if known.field.column_type == "text" else plaintext
