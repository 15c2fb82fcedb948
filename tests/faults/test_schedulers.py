"""Any number of schedulers, and none for a while: every owed fire leads to one job."""

from datetime import UTC, datetime, timedelta

from scheduler.clock import Clock
from scheduler.fires import fire_if_owed
from scheduler.service import SchedulerService
from scheduler.timetable import Schedule
from tests.faults.conftest import Engine
from tests.servers.waiting import until
from workers.contract import Ping
from workers.database.pool import Connection, open_pool

SCHEDULE = Schedule(name="every-minute", cron="* * * * *", request=Ping())


def fires(connection: Connection) -> list[datetime]:
    return [
        row[0] for row in connection.execute("SELECT fire_at FROM keywright.fire ORDER BY fire_at")
    ]


def pings(connection: Connection) -> int:
    row = connection.execute(
        "SELECT count(*) FROM keywright.job WHERE kind = 'system.ping'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_two_schedulers_on_one_tick_make_one_job(engine: Engine) -> None:
    timetable = (SCHEDULE,)
    for _ in range(2):
        engine.stack.enter_context(
            SchedulerService(engine.conninfo, engine.broker_url, timetable=timetable)
        )
    connection = engine.connect()
    until(lambda: fires(connection), "the first fire")
    # Both have looked by the time both have been asked to look once more.
    pool = engine.stack.enter_context(open_pool(engine.conninfo, size=2, name="clock"))
    clocks = [Clock(pool, timetable), Clock(pool, timetable)]
    for clock in clocks:
        clock.look()
    assert len(fires(connection)) == len(set(fires(connection)))
    assert pings(connection) == len(fires(connection))


def test_ticks_missed_during_downtime_are_made_up_for_once(connection: Connection) -> None:
    down_since = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
    assert fire_if_owed(connection, SCHEDULE, now=down_since) is not None
    connection.execute("UPDATE keywright.job SET state = 'succeeded', finished_at = now()")
    back_at = down_since + timedelta(days=3, minutes=7)
    assert fire_if_owed(connection, SCHEDULE, now=back_at) is not None
    assert fire_if_owed(connection, SCHEDULE, now=back_at) is None
    assert fires(connection) == [
        datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
        datetime(2026, 3, 4, 12, 7, tzinfo=UTC),
    ]
    assert pings(connection) == 2


def test_a_clock_that_jumped_ahead_for_a_moment_does_not_silence_the_schedule(
    connection: Connection,
) -> None:
    now = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
    assert fire_if_owed(connection, SCHEDULE, now=now + timedelta(days=365)) is not None
    connection.execute("UPDATE keywright.job SET state = 'succeeded', finished_at = now()")
    assert fire_if_owed(connection, SCHEDULE, now=now) is not None
    # And one that jumps back does not repeat what was served.
    assert fire_if_owed(connection, SCHEDULE, now=now - timedelta(seconds=20)) is None


def test_a_run_that_still_waits_is_not_asked_for_twice(connection: Connection) -> None:
    now = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
    first = fire_if_owed(connection, SCHEDULE, now=now)
    second = fire_if_owed(connection, SCHEDULE, now=now + timedelta(minutes=5))
    assert first is not None
    assert first == second
    assert len(fires(connection)) == 2
    assert pings(connection) == 1
