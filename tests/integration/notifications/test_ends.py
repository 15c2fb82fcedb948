"""Certificates that come near their end, and that have ended: announced once each."""

from datetime import datetime, timedelta

from tests.integration.notifications.household import DAY, NOON, Household, household
from workers.contract.announcements import BY_KIND
from workers.database.pool import Connection
from workers.notifications.ends import announce_ends
from workers.notifications.planning import plan_due_notices
from workers.notifications.store import drop_digests_without_reader


def scan(connection: Connection, now: datetime, *, limit: int = 1000) -> int:
    """Do what a scan does at a time; return how many versions have ended."""
    with connection.transaction():
        plan_due_notices(connection, now=now, limit=limit)
    with connection.transaction():
        return announce_ends(connection, now=now, limit=limit)


def announced(connection: Connection, kind: str) -> list[tuple[str, int | None, int | None]]:
    """Return name, tier and days left of what was announced, having checked all that it says."""
    found = []
    for subject, data in connection.execute(
        "SELECT subject, data FROM keywright.announcement WHERE kind = %s ORDER BY announcement_id",
        [kind],
    ).fetchall():
        BY_KIND[kind].data.model_validate(data)
        assert subject.startswith("certificate/")
        found.append((data["unique_name"], data.get("tier_days"), data.get("days_left")))
    return found


def acme_since(connection: Connection, since: datetime) -> Household:
    """Add an organization with a holder, to an installation that is there since a moment."""
    connection.execute("UPDATE keywright.expiry_mark SET announced_until = %s", [since])
    acme = household(connection)
    acme.member("Holly", holder=True)
    return acme


def test_each_tier_that_is_reached_is_announced_once(connection: Connection) -> None:
    acme = acme_since(connection, NOON)
    acme.version("web", not_after=NOON + 60 * DAY, known_since=NOON - DAY)
    for day in (0, 0, 30, 50, 50):
        scan(connection, NOON + day * DAY)
    assert announced(connection, "certificate.expiring") == [
        ("web", 60, 60),
        ("web", 30, 30),
        ("web", 10, 10),
    ]


def test_after_downtime_only_the_most_urgent_tier_is_announced(connection: Connection) -> None:
    acme = acme_since(connection, NOON)
    acme.version("web", not_after=NOON + 60 * DAY, known_since=NOON - DAY)
    scan(connection, NOON + 55 * DAY)
    assert announced(connection, "certificate.expiring") == [("web", 10, 5)]


def test_a_tier_that_nobody_hears_is_announced_all_the_same(connection: Connection) -> None:
    acme = household(connection)
    acme.version("web", not_after=NOON + 30 * DAY, known_since=NOON - DAY)
    scan(connection, NOON)
    assert announced(connection, "certificate.expiring") == [("web", 30, 30)]


def test_a_tier_that_is_planned_anew_is_not_announced_anew(connection: Connection) -> None:
    acme = acme_since(connection, NOON)
    acme.version("web", not_after=NOON + 30 * DAY, known_since=NOON - DAY)
    scan(connection, NOON)
    connection.execute("UPDATE keywright.member SET active = false")
    acme.member("Hannah", holder=True)
    digests = connection.execute("SELECT digest_id FROM keywright.digest").fetchall()
    assert drop_digests_without_reader(connection, [row[0] for row in digests]) == 1
    connection.execute("UPDATE keywright.certificate_version SET next_notice_at = %s", [NOON])
    scan(connection, NOON)
    assert announced(connection, "certificate.expiring") == [("web", 30, 30)]


def test_an_end_is_announced_once(connection: Connection) -> None:
    acme = acme_since(connection, NOON)
    acme.version("web", not_after=NOON + DAY)
    assert scan(connection, NOON + DAY - timedelta(seconds=1)) == 0
    assert announced(connection, "certificate.expired") == []
    assert scan(connection, NOON + DAY) == 1
    assert scan(connection, NOON + 2 * DAY) == 0
    assert announced(connection, "certificate.expired") == [("web", None, None)]


def test_what_had_ended_before_keywright_was_there_is_not_announced(
    connection: Connection,
) -> None:
    acme = acme_since(connection, NOON)
    acme.version("old", not_after=NOON - DAY)
    assert scan(connection, NOON + DAY) == 0


def test_many_ends_are_announced_in_steps_and_none_is_left_out(connection: Connection) -> None:
    acme = acme_since(connection, NOON)
    for number in range(7):
        acme.version(f"v{number}", not_after=NOON + timedelta(hours=number // 2 + 1))
    counts = [scan(connection, NOON + DAY, limit=3) for _ in range(3)]
    assert sum(counts) == 7
    told = [name for name, _, _ in announced(connection, "certificate.expired")]
    assert sorted(told) == [f"v{number}" for number in range(7)]


def test_nothing_is_announced_of_the_end_of_what_was_deleted_or_replaced(
    connection: Connection,
) -> None:
    acme = acme_since(connection, NOON)
    acme.version("deleted", not_after=NOON + DAY)
    replaced = acme.version("replaced", not_after=NOON + DAY)
    used = acme.version("used", not_after=NOON + DAY)
    connection.execute(
        "UPDATE keywright.certificate SET deleted_at = %s WHERE unique_name = 'deleted'", [NOON]
    )
    connection.execute(
        "UPDATE keywright.certificate_version SET replaced_at = %s WHERE version_id = ANY (%s)",
        [NOON, [replaced, used]],
    )
    connection.execute(
        "INSERT INTO keywright.usage (organization_id, version_id, place_kind, place)"
        " VALUES (%s, %s, 'api_client', 'billing')",
        [acme.organization_id, used],
    )
    scan(connection, NOON + DAY)
    assert announced(connection, "certificate.expired") == [("used", None, None)]
