"""An organization with master keys, as tests want it."""

from dataclasses import dataclass
from typing import Any

from workers.database.pool import Connection
from workers.keys import store
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.root_keys import RootKeys
from workers.keys.rotation import Prepared, Rotated, prepare, promote, rotate, transactions_of
from workers.keys.states import Origin, State
from workers.keys.unwrapping import wrap_key
from workers.organizations.store import add_organization


@dataclass
class Keyholder:
    """One organization of a test."""

    connection: Connection
    root_keys: RootKeys
    organization_id: int

    def rotate(self, expected_number: int | None, **options: Any) -> Rotated:
        """Rotate, as somebody asked."""
        return rotate(
            self.connection,
            self.root_keys,
            organization_id=self.organization_id,
            expected_number=expected_number,
            **{"actor": "alice", "reason": "a test", **options},
        )

    def prepare(self, expected_number: int | None, **options: Any) -> Prepared | Rotated:
        """Do the first half of a rotation, and no more."""
        return prepare(
            transactions_of(self.connection),
            self.root_keys,
            organization_id=self.organization_id,
            expected_number=expected_number,
            **{"actor": "alice", "reason": "a test", **options},
        )

    def prepared(self, expected_number: int | None, **options: Any) -> Prepared:
        """Do the first half of a rotation, which nobody has overtaken."""
        done = self.prepare(expected_number, **options)
        assert isinstance(done, Prepared)
        return done

    def finish(self, prepared: Prepared) -> Rotated:
        """Do the second half."""
        with self.connection.transaction():
            return promote(self.connection, prepared, actor="alice", reason="a test")

    def move(self, number: int, to: State, **options: Any) -> None:
        """Move a key."""
        store.move_key(
            self.connection,
            organization_id=self.organization_id,
            number=number,
            to=to,
            **{"actor": "alice", "reason": "a test", **options},
        )

    def insert(self, number: int, key: CleartextKey | None = None, **options: Any) -> bool:
        """Insert a pre-active key with a proper wrap."""
        key = key or CleartextKey.generate()
        wrapped = wrap_key(
            self.root_keys.current, key, organization_id=self.organization_id, number=number
        )
        values: dict[str, Any] = {
            "check_value": key.check_value(),
            "fingerprint": key.fingerprint(),
            "origin": Origin.GENERATED,
            "wraps": {self.root_keys.current.identifier: wrapped},
            "actor": "alice",
            "reason": "a test",
            **options,
        }
        return store.insert_key(
            self.connection, organization_id=self.organization_id, number=number, **values
        )

    def bring_to(self, state: State) -> int:
        """Make keys until there is an active one and another, returned, in ``state``."""
        self.rotate(None)
        if state is State.PRE_ACTIVE:
            return self.prepared(1).number
        number = self.rotate(1).number
        if state is State.ACTIVE:
            return number
        self.rotate(number)
        if state is not State.ARCHIVED:
            self.move(number, state)
        return number

    def states(self) -> dict[int, str]:
        """Return the state of every key."""
        return dict(
            self.connection.execute(
                "SELECT key_number, state::text FROM keywright.master_key"
                " WHERE organization_id = %s ORDER BY 1",
                [self.organization_id],
            ).fetchall()
        )

    def set(self, number: int, column: str, value: object) -> None:
        """Change a column of a key, past all that keywright does."""
        self.connection.execute(
            f"UPDATE keywright.master_key SET {column} = %s"
            " WHERE organization_id = %s AND key_number = %s",
            [value, self.organization_id, number],
        )

    def wraps(self, number: int) -> dict[str, bytes]:
        """Return the wraps of a key by root key."""
        stored = store.load_key(self.connection, self.organization_id, number)
        assert stored is not None
        return {wrap.root_key: wrap.wrapped_key for wrap in stored.wraps}

    def announcements(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Return kind, subject and data of what was announced."""
        return self.connection.execute(
            "SELECT kind, subject, data FROM keywright.announcement ORDER BY announcement_id"
        ).fetchall()


def keyholder(connection: Connection, root_keys: RootKeys, name: str = "Acme") -> Keyholder:
    """Add an organization."""
    return Keyholder(
        connection,
        root_keys,
        add_organization(connection, name=name, time_zone="UTC", sending_hour=8, is_sandbox=False),
    )
