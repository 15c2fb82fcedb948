"""An organization with master keys, and what tests do to them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg.rows import dict_row

from workers.database.pool import Connection
from workers.keys import store
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.export import export_key, passphrase_seal
from workers.keys.export_file import ExportFile, read_export
from workers.keys.export_sealing import open_with_passphrase
from workers.keys.listing import show_key
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.file import FileRootKey
from workers.keys.rotation import rotate
from workers.keys.states import State
from workers.keys.unwrapping import unwrap_key
from workers.organizations.store import add_organization

PASSPHRASE = "correct horse battery staple"
ACTOR = "test:ada"


@dataclass
class Custody:
    """An organization whose key 1 is archived and whose key 2 is active."""

    connection: Connection
    root_keys: RootKeys
    organization_id: int
    folder: Path

    @classmethod
    def of(cls, connection: Connection, folder: Path, name: str = "Acme") -> "Custody":
        """Add an organization and rotate its first key."""
        root_key = FileRootKey(folder / "root.key", create_if_missing=True)
        organization_id = add_organization(
            connection, name=name, time_zone="UTC", sending_hour=8, is_sandbox=False
        )
        custody = cls(connection, RootKeys(root_key), organization_id, folder)
        assert (custody.rotate(), custody.rotate()) == (1, 2)
        return custody

    def rotate(self) -> int:
        """Let the next key take the place of the active one."""
        return rotate(
            self.connection,
            self.root_keys,
            organization_id=self.organization_id,
            expected_number=store.active_number(self.connection, self.organization_id),
            actor=ACTOR,
            reason="a test",
        ).number

    def move(self, number: int, *states: State) -> None:
        """Move a key from state to state."""
        for state in states:
            store.move_key(
                self.connection,
                organization_id=self.organization_id,
                number=number,
                to=state,
                actor=ACTOR,
                reason="a test",
            )

    def state(self, number: int) -> State:
        """Return the state of a key."""
        return show_key(self.connection, self.organization_id, number).state

    def cleartext(self, number: int) -> CleartextKey:
        """Return a key."""
        stored = store.load_key(self.connection, self.organization_id, number)
        assert stored is not None
        return unwrap_key(self.root_keys, stored)

    def exported(self, number: int = 1) -> ExportFile:
        """Export a key to a file that opens with the passphrase."""
        path = self.folder / f"{self.organization_id}-{number}.txt"
        export_key(
            self.connection,
            self.root_keys,
            organization_id=self.organization_id,
            number=number,
            seal=passphrase_seal(PASSPHRASE),
            path=path,
            actor=ACTOR,
        )
        return read_export(path.read_bytes())

    def announcements(self, kind: str) -> list[dict[str, Any]]:
        """Return what was announced, oldest first."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(
                "SELECT subject, organization_id, data FROM keywright.announcement"
                " WHERE kind = %s ORDER BY announcement_id",
                [kind],
            ).fetchall()


def by_passphrase(file: ExportFile) -> CleartextKey:
    """Open a file with the passphrase."""
    return open_with_passphrase(file, PASSPHRASE)
