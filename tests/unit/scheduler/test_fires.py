"""The latest time at which a schedule fired: never ahead of now, and none in between."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.fires import latest_fire_time
from scheduler.timetable import TIMETABLE

MINUTE = timedelta(minutes=1)

moments = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001  # the strategy makes it aware
    max_value=datetime(2099, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)
some_minutes = st.sets(st.integers(0, 59), min_size=1, max_size=4)
some_hours = st.sets(st.integers(0, 23), min_size=1, max_size=4)
weekdays = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def field(values: set[int]) -> str:
    """Write a cron field."""
    return ",".join(str(value) for value in sorted(values))


def latest(cron: str, now: datetime) -> datetime:
    """Return the latest fire time of a schedule that has one."""
    found = latest_fire_time(cron, now=now)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("cron", "now", "fired"),
    [
        ("* * * * *", "2026-03-01T12:00:30", "2026-03-01T12:00"),
        ("* * * * *", "2026-03-01T12:00:00", "2026-03-01T12:00"),
        ("* * * * *", "2026-03-01T11:59:59.999999", "2026-03-01T11:59"),
        ("*/5 * * * *", "2026-03-01T00:03", "2026-03-01T00:00"),
        ("17 3 * * *", "2026-03-01T03:16:59", "2026-02-28T03:17"),
        ("17 3 * * *", "2028-03-01T03:16:59", "2028-02-29T03:17"),
        ("0 9 * * mon", "2026-03-01T12:00", "2026-02-23T09:00"),  # a Sunday
        ("0 0 1 * *", "2026-02-28T12:00", "2026-02-01T00:00"),
        ("0 0 31 * *", "2026-03-30T12:00", "2026-01-31T00:00"),
        ("0 0 1 1 *", "2026-12-31T23:59", "2026-01-01T00:00"),
        ("59 23 31 12 *", "2026-12-31T23:58", "2025-12-31T23:59"),
        ("30 2 * * *", "2026-03-29T12:00", "2026-03-29T02:30"),  # clocks change elsewhere
    ],
)
def test_the_latest_fire_time_is_found(cron: str, now: str, fired: str) -> None:
    assert latest(cron, datetime.fromisoformat(now).replace(tzinfo=UTC)) == datetime.fromisoformat(
        fired
    ).replace(tzinfo=UTC)


@pytest.mark.parametrize("cron", ["0 0 30 2 *", "0 0 29 2 *"])
def test_what_did_not_fire_in_the_past_year_has_no_latest_time(cron: str) -> None:
    assert latest_fire_time(cron, now=datetime(2027, 3, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize("cron", ["", "* * * *", "* * * * * *", "60 * * * *", "a b c d e"])
def test_what_is_no_schedule_is_refused(cron: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        latest_fire_time(cron, now=datetime(2026, 3, 1, tzinfo=UTC))


@given(now=moments, minutes=some_minutes, hours=some_hours)
def test_it_is_a_fire_time_not_ahead_of_now_with_none_in_between(
    now: datetime, minutes: set[int], hours: set[int]
) -> None:
    found = latest(f"{field(minutes)} {field(hours)} * * *", now)
    assert found <= now
    assert (found.second, found.microsecond) == (0, 0)
    assert found.minute in minutes
    assert found.hour in hours
    between = found + MINUTE
    while between <= now:
        assert not (between.minute in minutes and between.hour in hours)
        between += MINUTE


@given(now=moments, weekday=st.sampled_from(weekdays), hour=st.integers(0, 23))
def test_a_weekly_schedule_fired_within_the_week_on_its_day(
    now: datetime, weekday: str, hour: int
) -> None:
    found = latest(f"0 {hour} * * {weekday}", now)
    assert timedelta(0) <= now - found < timedelta(days=7)
    assert weekdays[found.weekday()] == weekday
    assert found.hour == hour


@given(now=moments, day=st.integers(1, 28), month=st.integers(1, 12))
def test_a_yearly_schedule_fired_within_the_year_on_its_day(
    now: datetime, day: int, month: int
) -> None:
    found = latest(f"0 0 {day} {month} *", now)
    assert timedelta(0) <= now - found <= timedelta(days=366)
    assert (found.day, found.month) == (day, month)


@given(now=moments, later=st.timedeltas(timedelta(0), timedelta(days=400)))
def test_time_that_passes_never_brings_back_an_earlier_fire_time(
    now: datetime, later: timedelta
) -> None:
    for schedule in TIMETABLE:
        assert latest(schedule.cron, now) <= latest(schedule.cron, now + later)


@given(now=moments)
def test_the_next_look_finds_the_same_time_until_the_schedule_fires_again(now: datetime) -> None:
    for schedule in TIMETABLE:
        fired = latest(schedule.cron, now)
        assert latest(schedule.cron, fired) == fired


@given(now=moments, minutes=some_minutes)
def test_the_zone_in_which_now_is_told_does_not_matter(now: datetime, minutes: set[int]) -> None:
    cron = f"{field(minutes)} 7 * * *"
    assert latest(cron, now.astimezone(ZoneInfo("Asia/Tokyo"))) == latest(cron, now)


def test_schedules_have_names_of_their_own() -> None:
    names = [schedule.name for schedule in TIMETABLE]
    assert len(set(names)) == len(names)
