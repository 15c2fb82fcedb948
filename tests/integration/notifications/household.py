"""Organizations, members and certificate versions put straight into the database, for tests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from workers.database.pool import Connection
from workers.organizations.members import NewMember
from workers.organizations.store import add_members, add_organization

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass
class Household:
    """One organization of a test."""

    connection: Connection
    organization_id: int

    def member(
        self, name: str, *, holder: bool = False, administrator: bool = False, active: bool = True
    ) -> int:
        """Add a member with an address made from the name."""
        [member_id] = add_members(
            self.connection,
            organization_id=self.organization_id,
            members=[
                NewMember(
                    name=name,
                    email=f"{name.lower()}-{self.organization_id}@example.org",
                    profile="system_administrator" if administrator else "standard",
                    permissions=("receive_expiration_notices",) if holder else (),
                    active=active,
                )
            ],
        )
        return member_id

    def version(
        self,
        name: str,
        *,
        not_after: datetime,
        life: timedelta = timedelta(days=365),
        known_since: datetime | None = None,
        kind: str = "imported",
    ) -> int:
        """Add a certificate that keywright has known all its life, or since a moment."""
        row = self.connection.execute(
            "INSERT INTO keywright.certificate (organization_id, unique_name, label, kind)"
            " VALUES (%s, %s, %s, %s) RETURNING certificate_id",
            [self.organization_id, name, name, kind],
        ).fetchone()
        assert row is not None
        row = self.connection.execute(
            "INSERT INTO keywright.certificate_version (certificate_id, organization_id,"
            " not_before, not_after, key_algorithm, known_since, subject, issuer, serial)"
            " VALUES (%s, %s, %s, %s, 'RSA', %s, 'CN=s', 'CN=i', '01') RETURNING version_id",
            [
                row[0],
                self.organization_id,
                not_after - life,
                not_after,
                known_since or not_after - life,
            ],
        ).fetchone()
        assert row is not None
        version_id = int(row[0])
        self.connection.execute("SELECT keywright.schedule_notices(%s)", [[version_id]])
        return version_id


def household(
    connection: Connection, name: str = "Acme", *, time_zone: str = "UTC", sending_hour: int = 8
) -> Household:
    """Add an organization."""
    return Household(
        connection,
        add_organization(
            connection,
            name=name,
            time_zone=time_zone,
            sending_hour=sending_hour,
            is_sandbox=False,
        ),
    )


def told(connection: Connection, *, state: str = "planned") -> set[tuple[str, str, int]]:
    """Return (member, certificate, tier) of all notices in a state."""
    return {
        (row[0], row[1], row[2])
        for row in connection.execute(
            "SELECT member.name, unique_name, tier_days FROM keywright.notice"
            " JOIN keywright.member USING (member_id)"
            " JOIN keywright.certificate_version USING (version_id)"
            " JOIN keywright.certificate USING (certificate_id)"
            " WHERE notice.state = %s::keywright.notice_state",
            [state],
        )
    }


def outcomes(connection: Connection, version_id: int) -> dict[int, str]:
    """Return what became of each tier of a version."""
    rows = connection.execute(
        "SELECT tier_days, outcome::text FROM keywright.tier_record WHERE version_id = %s",
        [version_id],
    ).fetchall()
    return dict(rows)
