"""Old announcements go; what somebody still waits for stays."""

from datetime import timedelta

import pytest

from tests.integration.announcements.town_crier import tell
from tests.integration.jobs.workbench import Workbench
from workers.announcements.purging import purge_announcements
from workers.contract import PurgeAnnouncements, PurgeJobs
from workers.database.pool import Connection
from workers.jobs.housekeeping import purge_jobs


@pytest.fixture
def acme(connection: Connection, acme: int) -> int:
    """The organization, of which something was announced 1, 20, 40 and 60 days ago."""
    for number, days in enumerate((60, 40, 20, 1), start=1):
        tell(connection, acme, f"a{number}", number)
        connection.execute(
            "UPDATE keywright.announcement SET occurred_at = now() - %s WHERE announcement_id = %s",
            [timedelta(days=days), number],
        )
    return acme


def left(connection: Connection) -> list[int]:
    """Return the numbers of the announcements that are there."""
    rows = connection.execute("SELECT announcement_id FROM keywright.announcement ORDER BY 1")
    return [row[0] for row in rows]


@pytest.mark.usefixtures("acme")
def test_what_is_older_than_a_month_goes_whether_a_broker_had_it_or_not(
    connection: Connection, workbench: Workbench
) -> None:
    connection.execute(
        "UPDATE keywright.announcement SET relayed_at = now() WHERE announcement_id = 1"
    )
    assert workbench.execute(purge_announcements, PurgeAnnouncements()).result == {
        "announcements": 2
    }
    assert left(connection) == [3, 4]


@pytest.mark.usefixtures("acme")
def test_how_long_they_are_kept_can_be_said(connection: Connection, workbench: Workbench) -> None:
    request = PurgeAnnouncements(older_than_days=50)
    assert workbench.execute(purge_announcements, request).result == {"announcements": 1}
    assert left(connection) == [2, 3, 4]


def test_what_a_webhook_is_still_to_be_told_stays(
    connection: Connection, workbench: Workbench, acme: int
) -> None:
    connection.execute(
        "WITH endpoint AS (INSERT INTO keywright.webhook_endpoint (organization_id, name, url)"
        " VALUES (%s, 'billing', 'https://example.org/') RETURNING endpoint_id)"
        " INSERT INTO keywright.webhook_delivery"
        "        (endpoint_id, announcement_id, subject, state, finished_at)"
        " SELECT endpoint_id, number, 'a', state::keywright.webhook_state,"
        "        CASE WHEN state <> 'waiting' THEN now() END FROM endpoint,"
        " (VALUES (1, 'waiting'), (2, 'delivered')) AS told (number, state)",
        [acme],
    )
    assert workbench.execute(purge_announcements, PurgeAnnouncements()).result == {
        "announcements": 1
    }
    assert left(connection) == [1, 3, 4]


def test_notes_of_messages_that_came_in_go_with_the_jobs_they_asked_for(
    connection: Connection, workbench: Workbench
) -> None:
    connection.execute(
        "WITH asking AS (INSERT INTO keywright.requester (name) VALUES ('billing')"
        " RETURNING requester_id)"
        " INSERT INTO keywright.intake"
        "        (requester_id, source, event_id, content_hash, job_id, received_at)"
        " SELECT requester_id, 's', days::text, decode(repeat('00', 32), 'hex'), 1,"
        "        now() - make_interval(days => days) FROM asking, unnest('{1,40,70}'::int[]) days"
    )
    for request in (PurgeJobs(older_than_days=60), PurgeJobs(older_than_days=2)):
        assert workbench.execute(purge_jobs, request).result == {"jobs": 0, "messages": 1}
