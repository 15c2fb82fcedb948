"""A table of customers with one encrypted column, and what it takes to rewrite it in other ways."""

import os
import time
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg.sql import SQL, Identifier

from workers.database.pool import Connection
from workers.encryption.associated_data import associated_data_prefix
from workers.encryption.ciphertext import open_sealed, seal
from workers.encryption.registry import FieldDefinition, move_field, register_field
from workers.encryption.row_keys import row_encoder
from workers.keys.keyring import KeyRing

PLAINTEXT_BYTES = 64
_BATCH = 10_000


def register(connection: Connection, table: str) -> UUID:
    """Register the column ``card`` of a table as an encrypted field; return its id."""
    field = register_field(
        connection,
        FieldDefinition(
            field_name=f"{table}.card",
            connection_name=None,
            table_schema="public",
            table_name=table,
            column_name="card",
            column_type="bytea",
            key_columns=["id"],
            key_types=["bigint"],
            organization_column="organization_id",
            organization_id=None,
        ),
    )
    for move in (("plaintext", "encrypting"), ("encrypting", "encrypted")):
        move_field(connection, field.field_id, from_state=move[0], to_state=move[1])
    return field.field_id


def make(connection: Connection, table: str) -> None:
    """Create the table: a row of about 250 bytes, with room for a tenth more on each page."""
    connection.execute(
        SQL(
            "CREATE TABLE {} (id bigint PRIMARY KEY, organization_id bigint NOT NULL,"
            " name text NOT NULL, note text NOT NULL, visits integer NOT NULL DEFAULT 0,"
            " card bytea NOT NULL) WITH (fillfactor = 90)"
        ).format(Identifier("public", table))
    )


def fill(
    connection: Connection,
    table: str,
    rows: int,
    *,
    keyring: KeyRing,
    organization_id: int,
    field_id: UUID,
) -> None:
    """Fill the table with values under the active key, and let the server look at it."""
    encode = row_encoder(["bigint"])
    for first in range(0, rows, _BATCH):
        count = min(_BATCH, rows - first)
        key = keyring.active_key(organization_id, uses=count)
        aead = key.field_aead(field_id)
        prefix = associated_data_prefix(key.number, organization_id, field_id)
        with connection.cursor().copy(
            SQL(
                "COPY {} (id, organization_id, name, note, card) FROM STDIN (FORMAT BINARY)"
            ).format(Identifier("public", table))
        ) as copy:
            copy.set_types(["int8", "int8", "text", "text", "bytea"])
            for number in range(first, first + count):
                value = seal(
                    aead,
                    first_plaintext(number),
                    prefix + encode((number,)),
                    key_number=key.number,
                    nonce=os.urandom(12),
                )
                copy.write_row((number, organization_id, f"customer {number}", "n" * 80, value))
    connection.execute(SQL("VACUUM (ANALYZE, FREEZE) {}").format(Identifier("public", table)))


def first_plaintext(number: int) -> bytes:
    """Return the value that a row is filled with."""
    return f"card of customer {number}".encode().ljust(PLAINTEXT_BYTES, b".")


def rewrite_without_cryptography(connection: Connection, table: str) -> float:
    """Rewrite every value in one statement on the server; return the seconds: the ceiling."""
    began = time.perf_counter()
    connection.execute(
        SQL("UPDATE {} SET card = card || ''::bytea").format(Identifier("public", table))
    )
    return time.perf_counter() - began


def rewrite_row_by_row(connection: Connection, table: str, rows: int) -> float:
    """Read, decrypt, encrypt and save one row after the other, as common libraries do it.

    Returns the seconds that ``rows`` of them took.
    """
    old, new = AESGCM(os.urandom(32)), AESGCM(os.urandom(32))
    prefix = associated_data_prefix(1, 1, UUID(int=0))
    encode = row_encoder(["bigint"])
    name = Identifier("public", table)
    select = SQL("SELECT card FROM {} WHERE id = %s").format(name).as_string(connection)
    update = SQL("UPDATE {} SET card = %s WHERE id = %s").format(name).as_string(connection)
    for number in range(rows):  # values that these keys open, outside the measurement
        value = seal(
            old, first_plaintext(number), prefix + encode((number,)), key_number=1, nonce=bytes(12)
        )
        connection.execute(update, (value, number))
    began = time.perf_counter()
    for number in range(rows):
        row = connection.execute(select, (number,)).fetchone()
        assert row is not None
        place = prefix + encode((number,))
        value = seal(
            new,
            open_sealed(old, row[0], place),
            place,
            key_number=1,
            nonce=os.urandom(12),
        )
        connection.execute(update, (value, number))
    return time.perf_counter() - began
