"""An organization whose certificates are of every age, by the database's clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.integration.notifications.household import DAY, Household, household
from workers.certificates.deletion import delete_certificate
from workers.certificates.policies import save_policy
from workers.database.pool import Connection, database_clock


@dataclass
class Shelf:
    """An organization of a test, and what time it is."""

    connection: Connection
    household: Household
    now: datetime

    @property
    def organization_id(self) -> int:
        """The id of the organization."""
        return self.household.organization_id

    def put(
        self,
        name: str,
        *,
        days_left: float,
        life: timedelta = 365 * DAY,
        kind: str = "imported",
    ) -> int:
        """Keep a certificate that ends so many days from now; return its version's id."""
        not_after = self.now + days_left * DAY
        return self.household.version(name, not_after=not_after, life=life, kind=kind)

    def put_with_key(
        self,
        name: str,
        *,
        days_left: float,
        life: timedelta = 365 * DAY,
        kind: str = "self_signed",
    ) -> int:
        """Keep one with a private key, which nobody ever opens."""
        version_id = self.put(name, days_left=days_left, life=life, kind=kind)
        self.set_version(version_id, "private_key", b"sealed")
        return version_id

    def renew(self, name: str, *, days_left: float = 365, is_signed: bool = True) -> int:
        """Add a version that takes the place of those before, as soon as it is signed."""
        row = self.connection.execute(
            "INSERT INTO keywright.certificate_version (certificate_id, organization_id,"
            " version_number, not_before, not_after, key_algorithm, known_since)"
            " SELECT certificate_id, organization_id, max(version_number) + 1, %s, %s, 'RSA', %s"
            "   FROM keywright.certificate"
            "   JOIN keywright.certificate_version USING (organization_id, certificate_id)"
            "  WHERE unique_name = %s AND organization_id = %s GROUP BY 1, 2 RETURNING version_id",
            [
                self.now if is_signed else None,
                self.now + days_left * DAY if is_signed else None,
                self.now,
                name,
                self.organization_id,
            ],
        ).fetchone()
        assert row is not None
        if is_signed:
            self.connection.execute(
                "UPDATE keywright.certificate_version AS old SET replaced_at = %s"
                "  FROM keywright.certificate_version AS new WHERE new.version_id = %s"
                "   AND old.certificate_id = new.certificate_id AND old.version_id <> %s",
                [self.now, row[0], row[0]],
            )
        return int(row[0])

    def use(self, version_id: int, place: str) -> None:
        """Let a place use a version."""
        self.connection.execute(
            "INSERT INTO keywright.usage (organization_id, version_id, place_kind, place)"
            " VALUES (%s, %s, 'api_client', %s)",
            [self.organization_id, version_id, place],
        )

    def begin_replacement(self, old: int, new: int, *, state: str = "staged") -> None:
        """Begin a replacement, or record one that is over."""
        finished_at = None if state == "staged" else self.now
        self.connection.execute(
            "INSERT INTO keywright.replacement (organization_id, old_version_id, new_version_id,"
            " state, requested_by, reason, overlap_by, switch_by, retire_by, finished_at,"
            " finished_by) VALUES (%s, %s, %s, %s, 'test', 'a test', %s, %s, %s, %s, %s)",
            [
                self.organization_id,
                old,
                new,
                state,
                *[self.now] * 3,
                finished_at,
                finished_at and "test",
            ],
        )

    def set_certificate(self, name: str, column: str, value: object) -> None:
        """Change a column of a certificate, past all that keywright does."""
        self.connection.execute(
            f"UPDATE keywright.certificate SET {column} = %s"
            " WHERE unique_name = %s AND organization_id = %s",
            [value, name, self.organization_id],
        )

    def set_version(self, version_id: int, column: str, value: object) -> None:
        """Change a column of a version, past all that keywright does."""
        self.connection.execute(
            f"UPDATE keywright.certificate_version SET {column} = %s WHERE version_id = %s",
            [value, version_id],
        )

    def policy(self, **options: int | None) -> None:
        """Set the policy; what is not named happens on request only, with 30 days of grace."""
        values: dict[str, Any] = {
            "rekey_days_before": None,
            "delete_expired_after_days": None,
            "grace_days": 30,
            **options,
        }
        save_policy(self.connection, organization_id=self.organization_id, **values)

    def delete(self, name: str, *, days_ago: float = 0) -> int:
        """Delete a certificate, or make it seem that this was done some days ago."""
        return delete_certificate(
            self.connection,
            organization_id=self.organization_id,
            unique_name=name,
            now=self.now - days_ago * DAY,
        )

    def names(self, *, deleted: bool = False) -> set[str]:
        """Return the names of what is there, or of what can be restored."""
        return {
            row[0]
            for row in self.connection.execute(
                "SELECT unique_name FROM keywright.certificate"
                " WHERE organization_id = %s AND (deleted_at IS NOT NULL) = %s",
                [self.organization_id, deleted],
            )
        }

    def announced(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Return subject and data of what was announced, by subject."""
        return self.connection.execute(
            "SELECT subject, data FROM keywright.announcement"
            " WHERE kind = %s AND organization_id = %s ORDER BY data ->> 'unique_name'",
            [kind, self.organization_id],
        ).fetchall()


def shelf(connection: Connection, name: str = "Acme") -> Shelf:
    """Add an organization with somebody to be told."""
    house = household(connection, name)
    house.member("Holly", holder=True)
    return Shelf(connection, house, database_clock(connection))
