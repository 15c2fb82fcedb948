"""What a requester sees in SQL: what happened where it may ask for anything, and no more."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import psycopg
import pytest

from tests.integration.announcements.town_crier import organization, settle, tell
from tests.servers.postgres import PostgresServer
from workers.database.pool import Connection

EVENTS = "SELECT sequence, organization, subject FROM keywright.event ORDER BY sequence"


@dataclass
class Requester:
    """A login role that is a requester."""

    conninfo: str

    @contextmanager
    def session(self) -> Iterator[Connection]:
        """Log in as the requester."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            yield connection

    def sees(self) -> list[tuple[int, str, str]]:
        """Return what it sees."""
        with self.session() as connection:
            return connection.execute(EVENTS).fetchall()


@pytest.fixture
def billing(
    postgres: PostgresServer, connection: Connection, conninfo: str, acme: int
) -> Iterator[Requester]:
    """A requester that may ask for something in Acme."""
    role = f"billing_{uuid4().hex[:8]}"
    connection.execute(
        "WITH asking AS (INSERT INTO keywright.requester (name, database_role)"
        " VALUES ('billing', %s) RETURNING requester_id)"
        " INSERT INTO keywright.requester_grant (requester_id, organization_id, kind)"
        " SELECT requester_id, %s, kind FROM asking, (SELECT kind FROM keywright.job_kind LIMIT 2)",
        [role, acme],
    )
    with postgres.login(conninfo, "keywright_requester", name=role) as login:
        yield Requester(login)


@pytest.fixture
def told(connection: Connection, acme: int) -> None:
    """Something announced in Acme, in Globex, and of no organization."""
    tell(connection, acme, "acme's")
    tell(connection, organization(connection, "Globex"), "globex's")
    connection.execute(
        "INSERT INTO keywright.announcement (kind, subject, data) VALUES ('job.failed', 's', '{}')"
    )
    settle(connection)


@pytest.mark.usefixtures("told")
def test_a_requester_sees_the_organizations_in_which_it_has_a_grant(billing: Requester) -> None:
    assert billing.sees() == [(1, "Acme", "acme's")]


@pytest.mark.usefixtures("told")
def test_a_grant_of_another_requester_shows_nothing(
    billing: Requester, connection: Connection
) -> None:
    connection.execute(
        "WITH asking AS (INSERT INTO keywright.requester (name, database_role)"
        " VALUES ('shop', 'shop') RETURNING requester_id)"
        " INSERT INTO keywright.requester_grant (requester_id, organization_id, kind)"
        " SELECT asking.requester_id, organization.organization_id, kind"
        "   FROM asking, keywright.organization, (SELECT kind FROM keywright.job_kind LIMIT 1)"
    )
    assert billing.sees() == [(1, "Acme", "acme's")]


@pytest.mark.usefixtures("told")
def test_the_table_behind_shows_no_more(billing: Requester) -> None:
    with billing.session() as connection:
        rows = connection.execute("SELECT subject FROM keywright.announcement").fetchall()
    assert rows == [("acme's",)]


@pytest.mark.usefixtures("told")
def test_a_requester_that_is_disabled_sees_nothing(
    billing: Requester, connection: Connection
) -> None:
    connection.execute("UPDATE keywright.requester SET disabled_at = now()")
    assert billing.sees() == []


@pytest.mark.usefixtures("told")
def test_a_role_that_is_no_requester_sees_nothing(
    billing: Requester, connection: Connection
) -> None:
    connection.execute("UPDATE keywright.requester SET database_role = NULL")
    assert billing.sees() == []


@pytest.mark.usefixtures("told")
def test_a_requester_changes_nothing(billing: Requester) -> None:
    with (
        billing.session() as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("DELETE FROM keywright.announcement")


@pytest.mark.usefixtures("told")
def test_the_owner_sees_all(connection: Connection) -> None:
    assert [row[0] for row in connection.execute(EVENTS).fetchall()] == [1, 2, 3]


def test_what_is_not_settled_is_not_there_yet(
    billing: Requester, connection: Connection, acme: int
) -> None:
    tell(connection, acme, "a")
    assert billing.sees() == []
    settle(connection)
    assert billing.sees() == [(1, "Acme", "a")]


def test_an_event_says_what_a_message_says(
    billing: Requester, connection: Connection, acme: int
) -> None:
    tell(connection, acme, "master-key/1/2", number=2)
    settle(connection)
    with billing.session() as session:
        [row] = session.execute("SELECT type, data, id, time FROM keywright.event").fetchall()
    [kept] = connection.execute(
        "SELECT event_id, occurred_at FROM keywright.announcement"
    ).fetchall()
    assert row == ("keywright.master_key.created.v1", {"number": 2}, *kept)
