"""An application with encrypted fields, as tests want it: two organizations and a table."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from workers.database.pool import Connection, Pool
from workers.encryption import FieldCipher, registration
from workers.encryption.connections import Connections
from workers.encryption.registration import FieldRequest
from workers.encryption.registry import EncryptedField, FieldState, find_field
from workers.keys import store
from workers.keys.keyring import KeyRing
from workers.keys.root_keys import RootKeys
from workers.keys.rotation import rotate
from workers.keys.states import State

FIELD = "customer.card"


@dataclass
class Shop:
    """``connection`` is keywright's own, autocommit; the table is in the same database."""

    conninfo: str
    connection: Connection
    pool: Pool
    root_keys: RootKeys
    keyring: KeyRing
    cipher: FieldCipher
    connections: Connections
    acme: int
    globex: int

    def make_table(self, key: str = "id bigint PRIMARY KEY", column: str = "card bytea") -> None:
        """Make a table with a key and a column to encrypt."""
        self.connection.execute(f"CREATE TABLE public.customer (tenant_id bigint, {column}, {key})")

    def register(
        self, *, state: FieldState = "encrypted", field_name: str = FIELD, **request: Any
    ) -> EncryptedField:
        """Register the column, by default with an organization column, and put it into a state."""
        if "organization_id" not in request:
            request.setdefault("organization_column", "tenant_id")
        wanted: dict[str, Any] = {
            "table_schema": "public",
            "table_name": "customer",
            "column_name": "card",
            **request,
        }
        registration.register_column(
            self.connection,
            self.connections,
            self.keyring,
            FieldRequest(field_name=field_name, **wanted),
        )
        self.move(state, field_name)
        return find_field(self.connection, field_name)

    def move(self, state: FieldState, field_name: str = FIELD) -> None:
        """Put a field into a state, as a run would in the end."""
        self.connection.execute(
            "UPDATE keywright.encrypted_field SET state = %s WHERE field_name = %s",
            [state, field_name],
        )

    @contextmanager
    def application(self, conninfo: str | None = None) -> Iterator[Connection]:
        """Connect as an application does: in a transaction that commits at the end."""
        with psycopg.connect(conninfo or self.conninfo) as connection:
            yield connection

    def encrypt(self, row: tuple[Any, ...], value: Any, *, tenant: int | None = None) -> Any:
        """Encrypt one value in a transaction of its own, and write it nowhere."""
        tenant = tenant or self.acme
        with (
            self.application() as connection,
            self.cipher.writing(connection, organization_id=tenant) as writer,
        ):
            return writer.encrypt(FIELD, row=row, value=value)

    def decrypt(self, row: tuple[Any, ...], value: Any, *, tenant: int | None = None) -> Any:
        return self.cipher.decrypt(FIELD, organization_id=tenant or self.acme, row=row, value=value)

    def rotate(self, tenant: int | None = None) -> int:
        """Rotate the active key of an organization; return the new number."""
        tenant = tenant or self.acme
        return rotate(
            self.connection,
            self.root_keys,
            organization_id=tenant,
            expected_number=self.keyring.active_number(tenant),
            actor="alice",
            reason="a test",
        ).number

    def move_key(self, number: int, to: State) -> None:
        """Move a key of the first organization, and let the ring know."""
        store.move_key(
            self.connection,
            organization_id=self.acme,
            number=number,
            to=to,
            actor="alice",
            reason="a test",
        )
        self.keyring.forget(self.acme, number)
