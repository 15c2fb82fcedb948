"""Announcements are relayed, written and purged with no more rights than the processes have."""

from datetime import timedelta

import psycopg

from tests.integration.announcements.town_crier import listener, tell, unrelayed_count
from tests.integration.jobs.workbench import Workbench
from tests.servers.postgres import PostgresServer
from tests.servers.waiting import until
from workers.announcements.purging import purge_announcements
from workers.announcements.relay import AnnouncementRelay
from workers.announcements.settling import settle_step
from workers.contract import PurgeAnnouncements
from workers.database.pool import Connection, open_pool


def test_a_scheduler_settles_and_relays(
    postgres: PostgresServer, connection: Connection, conninfo: str, broker_url: str, acme: int
) -> None:
    ears = listener(broker_url)
    tell(connection, acme, "master-key/1/1")
    with (
        postgres.login(conninfo, "keywright_scheduler") as login,
        open_pool(login, size=1, name="scheduler") as pool,
    ):
        settle, relay = settle_step(pool), AnnouncementRelay(login, broker_url)
        until(settle, "the mark to move")
        assert relay.step() == 1
        relay.close()
    ears.await_(1)
    assert ears.heard[0]["organization"] == "Acme"
    assert unrelayed_count(connection) == 0


def test_a_worker_announces_and_purges(
    postgres: PostgresServer, connection: Connection, conninfo: str, acme: int
) -> None:
    with postgres.login(conninfo, "keywright_worker") as login:
        with psycopg.connect(login, autocommit=True) as own:
            tell(own, acme, "master-key/1/1")
        connection.execute(
            "UPDATE keywright.announcement SET occurred_at = now() - %s", [timedelta(days=31)]
        )
        with (
            open_pool(login, size=4, name="ledger") as ledger,
            open_pool(login, size=1, name="worker") as pool,
        ):
            workbench = Workbench(ledger, pool)
            job = workbench.execute(purge_announcements, PurgeAnnouncements())
            workbench.keeper.stop()
    assert job.result == {"announcements": 1}
