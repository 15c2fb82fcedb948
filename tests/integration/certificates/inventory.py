"""An organization whose certificates a test changes, and what it looks at afterwards."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg

from tests.integration.notifications.household import DAY, NOON, Household, household
from tests.servers.waiting import until
from tests.unit.certificates.certificate_maker import make_found
from workers.certificates.store import save_imported
from workers.certificates.usages import add_usage
from workers.certificates.versions import AddedVersion, add_version
from workers.database.pool import Connection
from workers.notifications.planning import plan_due_notices


@dataclass
class Inventory:
    """An organization with a holder, and its certificates."""

    connection: Connection
    household: Household

    @property
    def organization_id(self) -> int:
        """The id of the organization."""
        return self.household.organization_id

    def keep(self, name: str, *, days_left: int = 90, number: int = 1) -> int:
        """Import a certificate that has been known all its life; return its version's id."""
        not_after = NOON + days_left * DAY
        found = make_found(
            name, number=number, not_before=not_after - 365 * DAY, not_after=not_after
        )
        saved = save_imported(
            self.connection,
            organization_id=self.organization_id,
            found=[found],
            now=NOON,
            known_since=not_after - 365 * DAY,
        )
        return saved.imported[0].version_id

    def renew(self, name: str, *, number: int = 2) -> AddedVersion:
        """Add a version that lives another year."""
        found = make_found(name, number=number, not_before=NOON - DAY, not_after=NOON + 365 * DAY)
        return add_version(
            self.connection,
            organization_id=self.organization_id,
            unique_name=name,
            found=found,
            now=NOON,
        )

    def use(self, name: str, place: str, *, version_number: int | None = None) -> int:
        """Register a usage."""
        return add_usage(
            self.connection,
            organization_id=self.organization_id,
            unique_name=name,
            place_kind="api_client",
            place=place,
            version_number=version_number,
            now=NOON,
        )

    def plan(self, now: datetime = NOON) -> None:
        """Plan what is due."""
        with self.connection.transaction():
            plan_due_notices(self.connection, now=now, limit=1000)

    def warns(self, version_id: int) -> bool:
        """Whether something is still to be told of a version."""
        row = self.connection.execute(
            "SELECT next_notice_at IS NOT NULL FROM keywright.certificate_version"
            " WHERE version_id = %s",
            [version_id],
        ).fetchone()
        assert row is not None
        return bool(row[0])

    def notices(self, version_id: int) -> list[tuple[int, str, str | None]]:
        """Return (tier, state, reason) of the notices of a version."""
        return self.connection.execute(
            "SELECT tier_days, state::text, reason FROM keywright.notice WHERE version_id = %s"
            " ORDER BY tier_days",
            [version_id],
        ).fetchall()


def inventory(connection: Connection, name: str = "Acme") -> Inventory:
    """Add an organization with a holder of the permission."""
    house = household(connection, name)
    house.member("Holly", holder=True)
    return Inventory(connection, house)


@contextmanager
def uncommitted(conninfo: str) -> Iterator[Connection]:
    """Yield another connection with a transaction that stays open until the test commits it."""
    with psycopg.connect(conninfo) as connection:
        connection.execute("SELECT 1")
        yield connection


@contextmanager
def meanwhile(
    conninfo: str, observer: Connection, action: Callable[[Connection], object]
) -> Iterator[Future[object]]:
    """Run ``action`` on another connection and yield as soon as it waits for a lock of ours."""
    with (
        psycopg.connect(conninfo, autocommit=True) as other,
        ThreadPoolExecutor(max_workers=1) as pool,
    ):
        future = pool.submit(action, other)
        until(
            lambda: observer.execute(
                "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
                [other.info.backend_pid],
            ).fetchone(),
            "the other connection to wait for a lock",
        )
        yield future
