"""The registry of encrypted fields: which columns hold keywright ciphertext. SQL only.

Whether a column is fit to be one is seen in ``workers.encryption.catalog``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from workers.database.pool import Connection
from workers.encryption.ciphertext import ColumnType
from workers.encryption.masks import MaskCharacter, MaskType
from workers.encryption.row_keys import same_encoding
from workers.errors import ConflictError, NotFoundError

FieldState: TypeAlias = Literal["plaintext", "encrypting", "encrypted", "decrypting"]


@dataclass(frozen=True, kw_only=True)
class FieldDefinition:
    """A column that is to be an encrypted field, with everything known of it.

    ``connection_name`` None is keywright's own database. Either ``organization_column`` says per
    row whose it is, or all rows are ``organization_id``'s. ``key_types`` are names of
    ``workers.encryption.row_keys.KEY_TYPES``, parallel to ``key_columns``.
    """

    field_name: str
    connection_name: str | None
    table_schema: str
    table_name: str
    column_name: str
    column_type: ColumnType
    key_columns: list[str]
    key_types: list[str]
    organization_column: str | None
    organization_id: int | None
    mask_type: MaskType = "all"
    mask_character: MaskCharacter = "*"

    @property
    def place(self) -> str:
        """Where the column is, for people: ``billing: public.customer.card``."""
        place = f"{self.table_schema}.{self.table_name}.{self.column_name}"
        return place if self.connection_name is None else f"{self.connection_name}: {place}"


@dataclass(frozen=True, kw_only=True)
class EncryptedField(FieldDefinition):
    """A registered field. Its id stands in the associated data, so its names may change."""

    field_id: UUID
    state: FieldState
    registered_at: datetime

    @property
    def accepts_plaintext(self) -> bool:
        """Whether plaintext may stand in the column now."""
        return self.state != "encrypted"

    @property
    def writes_ciphertext(self) -> bool:
        """Whether new values are to be encrypted now."""
        return self.state in ("encrypting", "encrypted")


_COLUMNS = """field_id, field_name, connection_name, table_schema, table_name, column_name,
              column_type, key_columns, key_types, organization_column, organization_id,
              mask_type::text AS mask_type, mask_character, state::text AS state, registered_at"""


def list_fields(
    connection: Connection,
    *,
    organization_id: int | None = None,
    field_ids: Sequence[UUID] | None = None,
) -> list[EncryptedField]:
    """Return fields by name: all, those that may hold an organization's values, or some by id."""
    with connection.cursor(row_factory=class_row(EncryptedField)) as cursor:
        return cursor.execute(
            f"""
            SELECT {_COLUMNS}
              FROM keywright.encrypted_field
             WHERE (%(organization_id)s::bigint IS NULL OR organization_column IS NOT NULL
                    OR organization_id = %(organization_id)s)
               AND (%(field_ids)s::uuid[] IS NULL OR field_id = ANY (%(field_ids)s))
             ORDER BY field_name
            """,
            {
                "organization_id": organization_id,
                "field_ids": None if field_ids is None else list(field_ids),
            },
        ).fetchall()


def find_field(connection: Connection, field_name: str) -> EncryptedField:
    """Return the field called ``field_name``, as it is at this moment.

    Raises:
        NotFoundError: there is none.
    """
    with connection.cursor(row_factory=class_row(EncryptedField)) as cursor:
        field = cursor.execute(
            f"SELECT {_COLUMNS} FROM keywright.encrypted_field WHERE field_name = %(field_name)s",
            {"field_name": field_name},
        ).fetchone()
    if field is None:
        raise NotFoundError(
            f"There is no encrypted field named “{field_name}”; `keywright field list` shows them."
        )
    return field


def register_field(connection: Connection, definition: FieldDefinition) -> EncryptedField:
    """Register a column and return its field; the same definition again finds the first.

    Raises:
        ConflictError: the name or the column is another field's, or its definition differs.
    """
    try:
        with connection.transaction():
            connection.execute(
                """
                INSERT INTO keywright.encrypted_field
                       (field_name, connection_name, table_schema, table_name, column_name,
                        column_type, key_columns, key_types, organization_column, organization_id,
                        mask_type, mask_character)
                VALUES (%(field_name)s, %(connection_name)s, %(table_schema)s, %(table_name)s,
                        %(column_name)s, %(column_type)s, %(key_columns)s, %(key_types)s,
                        %(organization_column)s, %(organization_id)s,
                        %(mask_type)s::keywright.mask_type, %(mask_character)s)
                    ON CONFLICT ON CONSTRAINT field_names_are_unique DO NOTHING
                """,
                vars(definition),
            )
    except UniqueViolation:
        raise ConflictError(
            f"{definition.place} is registered under another name already; `keywright field list`"
            " shows it."
        ) from None
    field = find_field(connection, definition.field_name)
    if differing := _differences(field, definition):
        raise ConflictError(
            f"There is a field named “{field.field_name}” already, and it differs in"
            f" {', '.join(differing)}; `keywright field show {field.field_name}` shows it. Choose"
            " another name, or unregister it first. Nothing was changed."
        )
    return field


def _differences(field: EncryptedField, definition: FieldDefinition) -> list[str]:
    differing = [
        name
        for name, value in vars(definition).items()
        if name != "key_types" and getattr(field, name) != value
    ]
    # An integer key that became a bigint is the same key.
    if not differing and not same_encoding(field.key_types, definition.key_types):
        differing.append("key_types")
    return differing


def move_field(
    connection: Connection, field_id: UUID, *, from_state: FieldState, to_state: FieldState
) -> bool:
    """Move a field to another state; False: it was not in ``from_state`` any more."""
    return (
        connection.execute(
            """
            UPDATE keywright.encrypted_field SET state = %(to_state)s::keywright.field_state
             WHERE field_id = %(field_id)s AND state = %(from_state)s::keywright.field_state
            """,
            {"field_id": field_id, "from_state": from_state, "to_state": to_state},
        ).rowcount
        == 1
    )


def unregister_field(
    connection: Connection, field_name: str, *, holds_ciphertext: bool
) -> EncryptedField:
    """Take a field out of the registry and return what it was.

    ``holds_ciphertext`` is what a look at the column found; in state plaintext it does not count.

    Raises:
        NotFoundError: there is no such field.
        ConflictError: ciphertext would be left that nobody knows of, or a run is at work on it.
    """
    with connection.transaction():
        field = find_field(connection, field_name)
        blocked: Any = connection.execute(
            """
            SELECT state::text,
                   (SELECT min(run_id) FROM keywright.reencryption_run
                     WHERE field.field_id = ANY (field_ids)
                       AND reencryption_run.state NOT IN ('cancelled', 'completed')),
                   (SELECT count(*) FROM keywright.quarantine
                     WHERE quarantine.field_id = field.field_id AND resolved_at IS NULL)
              FROM keywright.encrypted_field AS field
             WHERE field_id = %(field_id)s
               FOR UPDATE
            """,
            {"field_id": field.field_id},
        ).fetchone()
        if blocked is None:
            return field  # somebody else has just done it
        state, run_id, quarantined = blocked
        if run_id is not None:
            raise ConflictError(
                f"Run {run_id} is at work on {field_name}; let it end, or cancel it with"
                f" `keywright reencryption cancel {run_id}`. Nothing was changed."
            )
        if quarantined or (state != "plaintext" and holds_ciphertext):
            raise ConflictError(
                f"{field_name} still holds ciphertext that nothing could read afterwards; decrypt"
                f" it first: `keywright reencryption start --decrypt --field {field_name}`. Nothing"
                " was changed."
            )
        connection.execute(
            "DELETE FROM keywright.quarantine WHERE field_id = %(field_id)s",
            {"field_id": field.field_id},
        )
        connection.execute(
            "DELETE FROM keywright.encrypted_field WHERE field_id = %(field_id)s",
            {"field_id": field.field_id},
        )
    return field
