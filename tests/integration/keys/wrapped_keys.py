"""Master keys with wraps, written past the code that makes them, and read as a process would."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from workers.database.pool import Connection
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.root_keys import RootKey, RootKeys, wrapping_context
from workers.keys.root_keys.file import FileRootKey
from workers.keys.store import load_key
from workers.keys.unwrapping import unwrap_key
from workers.organizations.store import add_organization


def file_root_key(folder: Path, name: str) -> FileRootKey:
    """Make a root key in a file."""
    return FileRootKey(folder / f"{name}.key", create_if_missing=True)


Step = Callable[[], AbstractContextManager[Connection]]


def steps(connection: Connection) -> Step:
    """Return what gives transactions of a connection, as a job's checkpoints are."""

    @contextmanager
    def begin() -> Iterator[Connection]:
        with connection.transaction():
            yield connection

    return begin


def nothing(*_: object) -> None:
    """Neither report nor stop."""


@dataclass
class Vault:
    """An organization and the cleartext of its keys, to compare with."""

    connection: Connection
    organization_id: int
    keys: dict[int, CleartextKey] = field(default_factory=dict)

    def add(self, root_key: RootKey, *, state: str = "archived", count: int = 1) -> None:
        """Insert keys with a wrap under ``root_key`` each."""
        for _ in range(count):
            number = len(self.keys) + 1
            key = CleartextKey.generate()
            context = wrapping_context(self.organization_id, number)
            self.connection.execute(
                """
                WITH made AS (
                    INSERT INTO keywright.master_key
                           (organization_id, key_number, state, state_actor, state_reason, origin,
                            check_value, fingerprint)
                    VALUES (%s, %s, %s, 'alice', 'a test', 'generated', %s, %s)
                    RETURNING master_key_id
                )
                INSERT INTO keywright.master_key_wrap (master_key_id, root_key, wrapped_key)
                SELECT master_key_id, %s, %s FROM made
                """,
                [
                    *(self.organization_id, number, state, key.check_value(), key.fingerprint()),
                    *(root_key.identifier, root_key.wrap(key.reveal(), context=context)),
                ],
            )
            self.keys[number] = key

    def readable_with(self, root_key: RootKey) -> list[int]:
        """Return the numbers of the keys that a process reads that knows ``root_key`` alone."""
        return self.readable(RootKeys(root_key))

    def readable(self, root_keys: RootKeys) -> list[int]:
        """Return the numbers of the keys that a process reads."""
        found = []
        for number, key in self.keys.items():
            stored = load_key(self.connection, self.organization_id, number)
            assert stored is not None
            if any(root_keys.get(wrap.root_key) for wrap in stored.wraps):
                assert unwrap_key(root_keys, stored) == key
                found.append(number)
        return found

    def set_wrap(self, number: int, wrapped_key: bytes) -> None:
        """Put other bytes in the place of the wraps of a key."""
        self.connection.execute(
            "UPDATE keywright.master_key_wrap SET wrapped_key = %s"
            "  FROM keywright.master_key AS key"
            " WHERE key.master_key_id = master_key_wrap.master_key_id"
            "   AND organization_id = %s AND key_number = %s",
            [wrapped_key, self.organization_id, number],
        )

    def wraps(self) -> Sequence[tuple[int, str, bytes]]:
        """Return (number, root key, wrapped key) of every wrap."""
        return self.connection.execute(
            "SELECT key_number, root_key, wrapped_key"
            "  FROM keywright.master_key JOIN keywright.master_key_wrap USING (master_key_id)"
            " WHERE organization_id = %s ORDER BY 1, 2",
            [self.organization_id],
        ).fetchall()


def vault(connection: Connection, name: str = "Acme") -> Vault:
    """Add an organization without keys."""
    organization_id = add_organization(
        connection, name=name, time_zone="UTC", sending_hour=8, is_sandbox=False
    )
    return Vault(connection, organization_id)


def destroy(connection: Connection, organization_id: int, numbers: Iterable[int]) -> None:
    """Destroy keys: each is locked before its wraps are deleted, as it has to be."""
    for number in numbers:
        row = connection.execute(
            "UPDATE keywright.master_key SET state = 'destroyed', state_reason = 'a test'"
            " WHERE organization_id = %s AND key_number = %s RETURNING master_key_id",
            [organization_id, number],
        ).fetchone()
        assert row is not None
        connection.execute("DELETE FROM keywright.master_key_wrap WHERE master_key_id = %s", row)
