"""The default policy, rule by rule, on a real database (rules 51 to 59 and 69 of the model)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from tests.integration.notifications.household import DAY, NOON, household, outcomes, told
from workers.database.pool import Connection
from workers.notifications.planning import digests_to_deliver, plan_due_notices


def plan(connection: Connection, now: datetime = NOON) -> None:
    with connection.transaction():
        plan_due_notices(connection, now=now, limit=1000)


@pytest.mark.parametrize("days", [60, 30, 10])
def test_holders_are_told_at_60_30_and_10_days(connection: Connection, days: int) -> None:
    acme = household(connection)
    acme.member("Holly", holder=True)
    acme.member("Adam", administrator=True)
    acme.version("web", not_after=NOON + days * DAY, known_since=NOON - DAY)
    plan(connection)
    assert told(connection) == {("Holly", "web", days)}


@pytest.mark.parametrize("days", [1, 0])
def test_administrators_are_told_at_1_and_0_days(connection: Connection, days: int) -> None:
    acme = household(connection)
    acme.member("Holly", holder=True)
    acme.member("Adam", administrator=True)
    acme.version("web", not_after=NOON + days * DAY, known_since=NOON - DAY)
    plan(connection)
    assert told(connection) == {("Adam", "web", days)}


@pytest.mark.parametrize("days", [60, 30, 10, 1, 0])
def test_without_an_active_holder_administrators_are_told_at_every_tier(
    connection: Connection, days: int
) -> None:
    acme = household(connection)
    acme.member("Holly", holder=True, active=False)
    acme.member("Adam", administrator=True)
    acme.member("Stan")
    acme.version("web", not_after=NOON + days * DAY, known_since=NOON - DAY)
    plan(connection)
    assert told(connection) == {("Adam", "web", days)}


def test_rule_58_a_certificate_that_waits_to_be_signed_is_told_of_to_nobody(
    connection: Connection,
) -> None:
    acme = household(connection)
    acme.member("Adam", administrator=True)
    version_id = acme.version("web", not_after=NOON + 300 * DAY)
    connection.execute(
        "UPDATE keywright.certificate_version SET not_before = NULL, not_after = NULL,"
        " next_notice_at = NULL"
    )
    connection.execute("SELECT keywright.schedule_notices(ARRAY[%s]::bigint[])", [version_id])
    plan(connection, NOON + 400 * DAY)
    assert told(connection) == set()
    assert outcomes(connection, version_id) == {}
    with pytest.raises(psycopg.errors.CheckViolation, match="unusable_versions_are_silent"):
        connection.execute("UPDATE keywright.certificate_version SET next_notice_at = now()")


def test_who_is_both_gets_the_union_and_one_digest(connection: Connection) -> None:
    acme = household(connection)
    both = acme.member("Both", holder=True, administrator=True)
    acme.version("soon", not_after=NOON + 10 * DAY, known_since=NOON - DAY)
    acme.version("today", not_after=NOON, known_since=NOON - DAY)
    plan(connection)
    assert told(connection) == {("Both", "soon", 10), ("Both", "today", 0)}
    digests = connection.execute("SELECT member_id, local_day FROM keywright.digest").fetchall()
    assert digests == [(both, date(2026, 6, 1))]


def test_modify_all_data_counts_as_an_administrator(connection: Connection) -> None:
    acme = household(connection)
    member = acme.member("Moda")
    connection.execute(
        "UPDATE keywright.member SET permissions = '{modify_all_data}' WHERE member_id = %s",
        [member],
    )
    acme.version("web", not_after=NOON + DAY, known_since=NOON - DAY)
    plan(connection)
    assert told(connection) == {("Moda", "web", 1)}


def test_nothing_is_planned_twice(connection: Connection) -> None:
    acme = household(connection)
    acme.member("Holly", holder=True)
    acme.version("web", not_after=NOON + 30 * DAY, known_since=NOON - DAY)
    plan(connection)
    connection.execute("UPDATE keywright.certificate_version SET next_notice_at = %s", [NOON])
    plan(connection)
    plan(connection, NOON + timedelta(hours=6))
    assert told(connection) == {("Holly", "web", 30)}


def test_tiers_past_when_it_became_known_are_recorded_and_never_told(
    connection: Connection,
) -> None:
    acme = household(connection)
    acme.member("Holly", holder=True)
    version = acme.version("web", not_after=NOON + 20 * DAY, known_since=NOON)
    assert outcomes(connection, version) == {60: "already_past", 30: "already_past"}
    plan(connection)
    assert told(connection) == set()
    plan(connection, NOON + 11 * DAY)
    assert told(connection) == {("Holly", "web", 10)}


def test_after_downtime_only_the_most_urgent_tier_is_told_to_each(connection: Connection) -> None:
    acme = household(connection)
    acme.member("Holly", holder=True)
    acme.member("Adam", administrator=True)
    acme.member("Both", holder=True, administrator=True)
    version = acme.version("web", not_after=NOON + timedelta(hours=20))
    plan(connection)
    # Holly hears the last tier that is meant for her; whoever hears a later one, not that.
    assert told(connection) == {("Holly", "web", 10), ("Adam", "web", 1), ("Both", "web", 1)}
    assert told(connection, state="superseded") == {
        ("Holly", "web", 60),
        ("Holly", "web", 30),
        ("Both", "web", 60),
        ("Both", "web", 30),
        ("Both", "web", 10),
    }
    assert outcomes(connection, version) == {
        60: "superseded",
        30: "superseded",
        10: "told",
        1: "told",
    }


def test_an_expired_certificate_is_told_of_once_and_then_rests(connection: Connection) -> None:
    acme = household(connection)
    acme.member("Adam", administrator=True)
    version = acme.version("web", not_after=NOON - 40 * DAY)
    plan(connection)
    assert told(connection) == {("Adam", "web", 0)}
    rest = connection.execute(
        "SELECT next_notice_at FROM keywright.certificate_version WHERE version_id = %s", [version]
    ).fetchone()
    assert rest == (None,)


def test_a_tier_nobody_hears_is_recorded_and_blocks_nothing(connection: Connection) -> None:
    empty = household(connection, "Empty")
    acme = household(connection, "Acme")
    acme.member("Adam", administrator=True)
    unheard = empty.version("alone", not_after=NOON + 10 * DAY, known_since=NOON - DAY)
    acme.version("web", not_after=NOON + 10 * DAY, known_since=NOON - DAY)
    with connection.transaction():
        planned = plan_due_notices(connection, now=NOON, limit=1)
    with connection.transaction():
        planned_next = plan_due_notices(connection, now=NOON, limit=1)
    assert (planned.versions, planned_next.versions) == (1, 1)
    assert planned.unheard + planned_next.unheard == 1
    assert outcomes(connection, unheard)[10] == "nobody"
    assert told(connection) == {("Adam", "web", 10)}


@pytest.mark.parametrize(
    ("life_days", "days_before"),
    # The shortened tiers of the policy: a sixth, a twelfth, a thirty-sixth of the life.
    [(398, (60, 30, 10)), (200, (33.3, 16.6, 5.5)), (100, (16.6, 8.3, 2.7)), (47, (7.8, 3.9, 1.3))],
)
def test_tiers_shrink_with_the_life_of_the_certificate(
    connection: Connection, life_days: int, days_before: tuple[float, float, float]
) -> None:
    end = NOON + 100 * DAY
    rows = connection.execute(
        "SELECT tier_days, keywright.tier_due_at(tier_days, life_divisor, %(start)s, %(end)s,"
        " 'UTC', 8::smallint) FROM keywright.tier WHERE audience = 'holders' ORDER BY 1 DESC",
        {"start": end - life_days * DAY, "end": end},
    ).fetchall()
    for (_, due_at), days in zip(rows, days_before, strict=True):
        # On the local day, at the sending hour: within a day of the exact distance.
        assert abs(end - days * DAY - due_at) < DAY
        assert due_at.astimezone(UTC).hour == 8


def test_a_certificate_of_six_days_is_counted_in_hours(connection: Connection) -> None:
    end = NOON + timedelta(hours=160)
    rows = connection.execute(
        "SELECT tier_days, keywright.tier_due_at(tier_days, life_divisor, %(start)s, %(end)s,"
        " 'UTC', 8::smallint) FROM keywright.tier ORDER BY 1 DESC",
        {"start": NOON, "end": end},
    ).fetchall()
    hours = {tier: (end - due_at) / timedelta(hours=1) for tier, due_at in rows}
    assert hours == pytest.approx({60: 26.67, 30: 13.33, 10: 4.44, 1: 24, 0: 0}, abs=0.01)


@pytest.mark.parametrize(
    ("time_zone", "due_at"),
    [
        ("UTC", datetime(2026, 11, 21, 8, 0, tzinfo=UTC)),
        ("Asia/Tokyo", datetime(2026, 11, 21, 23, 0, tzinfo=UTC)),  # the 22nd there
        ("America/New_York", datetime(2026, 11, 21, 13, 0, tzinfo=UTC)),
        ("Pacific/Kiritimati", datetime(2026, 11, 21, 18, 0, tzinfo=UTC)),  # the 22nd there
    ],
)
def test_the_organizations_calendar_and_sending_hour_decide(
    connection: Connection, time_zone: str, due_at: datetime
) -> None:
    there = household(connection, time_zone=time_zone)
    version = there.version(
        "web",
        not_after=datetime(2026, 12, 1, 16, 0, tzinfo=UTC),
        known_since=datetime(2026, 11, 15, tzinfo=UTC),
    )
    row = connection.execute(
        "SELECT next_notice_at FROM keywright.certificate_version WHERE version_id = %s", [version]
    ).fetchone()
    assert row == (due_at,)


def test_the_sending_hour_holds_on_the_day_the_clocks_change(connection: Connection) -> None:
    berlin = household(connection, time_zone="Europe/Berlin", sending_hour=2)
    # 02:00 does not exist on 28 March 2027 in Berlin; 03:00 summer time is meant.
    version = berlin.version(
        "web",
        not_after=datetime(2027, 4, 7, 10, 0, tzinfo=UTC),
        known_since=datetime(2027, 3, 20, tzinfo=UTC),
    )
    row = connection.execute(
        "SELECT next_notice_at FROM keywright.certificate_version WHERE version_id = %s", [version]
    ).fetchone()
    assert row == (datetime(2027, 3, 28, 1, 0, tzinfo=UTC),)


def test_a_notice_that_comes_up_after_todays_digest_went_out_waits_for_tomorrows(
    connection: Connection,
) -> None:
    acme = household(connection, time_zone="Europe/Berlin", sending_hour=9)
    acme.member("Holly", holder=True)
    acme.version("first", not_after=NOON + 10 * DAY, known_since=NOON - DAY)
    plan(connection)
    connection.execute("UPDATE keywright.digest SET state = 'sent'")
    acme.version("second", not_after=NOON + 10 * DAY, known_since=NOON - DAY)
    plan(connection, NOON + timedelta(hours=1))
    rows = connection.execute(
        "SELECT local_day, send_at, state::text FROM keywright.digest ORDER BY local_day"
    ).fetchall()
    assert rows == [
        (date(2026, 6, 1), NOON, "sent"),
        (date(2026, 6, 2), datetime(2026, 6, 2, 7, 0, tzinfo=UTC), "open"),
    ]
    # Not to be delivered before its day.
    due_early = digests_to_deliver(connection, now=NOON + timedelta(hours=2), limit=10)
    assert due_early == []


def test_organizations_do_not_hear_of_each_others_certificates(connection: Connection) -> None:
    acme, other = household(connection, "Acme"), household(connection, "Other")
    acme.member("Holly", holder=True)
    other.member("Olga", holder=True)
    acme.version("web", not_after=NOON + 10 * DAY, known_since=NOON - DAY)
    plan(connection)
    assert told(connection) == {("Holly", "web", 10)}


def test_two_scans_at_once_plan_each_notice_once(connection: Connection, conninfo: str) -> None:
    acme = household(connection)
    acme.member("Holly", holder=True)
    for number in range(20):
        acme.version(f"web{number}", not_after=NOON + 10 * DAY, known_since=NOON - DAY)

    def scan() -> int:
        with psycopg.connect(conninfo) as own, own.transaction():
            return plan_due_notices(own, now=NOON, limit=1000).notices

    with ThreadPoolExecutor(4) as pool:
        planned = [future.result() for future in [pool.submit(scan) for _ in range(4)]]
    assert sorted(planned) == [0, 0, 0, 20]
