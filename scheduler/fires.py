"""Which fire time is owed, and making it good exactly once.

The key of ``keywright.fire`` is the schedule and its fire time, written together with the job. So
any number of schedulers may run, ticks may be lost or doubled, and clocks may disagree.
"""

from datetime import datetime, timedelta

import psycopg
from apscheduler.triggers.cron import CronTrigger

from scheduler.timetable import Schedule
from workers.database.pool import Connection
from workers.jobs.enqueue import enqueue

_LOOKBACKS = tuple(timedelta(days=days) for days in (1 / 24, 1, 32, 367))


def latest_fire_time(cron: str, *, now: datetime) -> datetime | None:
    """Return the latest time, ``now`` included, at which ``cron`` fired in the past year.

    None where it did not. The search widens step by step, so that a schedule of every minute is not
    counted through a whole year.
    """
    trigger = CronTrigger.from_crontab(cron, timezone="UTC")
    for lookback in _LOOKBACKS:
        latest: datetime | None = None
        candidate = trigger.get_next_fire_time(None, now - lookback)
        while candidate is not None and candidate <= now:
            latest = candidate
            candidate = trigger.get_next_fire_time(candidate, candidate + timedelta(microseconds=1))
        if latest is not None:
            return latest
    return None


def fire_if_owed(connection: Connection, schedule: Schedule, *, now: datetime) -> int | None:
    """Enqueue the schedule's request if its latest fire time was not served yet.

    Returns the job's id; None where there is nothing to do, or another scheduler was first.
    """
    fire_at = latest_fire_time(schedule.cron, now=now)
    if fire_at is None or _is_served(connection, schedule.name, fire_at):
        return None
    return fire(connection, schedule, fire_at=fire_at)


def fire(connection: Connection, schedule: Schedule, *, fire_at: datetime) -> int | None:
    """Enqueue the schedule's request for ``fire_at``.

    Returns the job's id; None where this fire time was served before.
    """
    try:
        with connection.transaction():
            # A run that is still waiting or going on will see the same state: one is enough.
            job_id = enqueue(connection, schedule.request, unique_key=schedule.name).job_id
            connection.execute(
                "INSERT INTO keywright.fire (schedule, fire_at, job_id)"
                " VALUES (%(schedule)s, %(fire_at)s, %(job_id)s)",
                {"schedule": schedule.name, "fire_at": fire_at, "job_id": job_id},
            )
    except psycopg.errors.UniqueViolation:
        return None
    return job_id


def _is_served(connection: Connection, schedule: str, fire_at: datetime) -> bool:
    # This very time, not "this or a later one": a clock that jumped ahead for a moment must not
    # silence a schedule until the time it showed.
    return (
        connection.execute(
            "SELECT FROM keywright.fire WHERE schedule = %(schedule)s AND fire_at = %(fire_at)s",
            {"schedule": schedule, "fire_at": fire_at},
        ).rowcount
        > 0
    )
