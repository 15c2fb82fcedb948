"""APScheduler as a clock, and nothing else: it says "look", the database says what is owed.

Its memory is not needed: a tick that is late, doubled or lost changes nothing but the delay,
because each look asks for the latest fire time and whether it was served.
"""

from collections.abc import Sequence
from datetime import datetime

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from scheduler.fires import fire, fire_if_owed
from scheduler.timetable import Schedule
from workers.database.pool import DATABASE_TROUBLE, Connection, Pool, database_clock

log = structlog.get_logger(__name__)

_LOOK_AGAIN_SECONDS = 15


class Clock:
    """Fires the timetable's schedules."""

    def __init__(self, pool: Pool, timetable: Sequence[Schedule]) -> None:
        self._pool = pool
        self._timetable = timetable
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            executors={"default": ThreadPoolExecutor(1)},
            # By default APScheduler drops a run that is more than a second late.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def start(self) -> None:
        """Serve what is owed from before, then go on in time."""
        for schedule in self._timetable:
            trigger = CronTrigger.from_crontab(schedule.cron, timezone="UTC")
            self._scheduler.add_job(self.look, trigger, name=schedule.name)
        # Makes up for what a start after downtime owes, and for a look that found no database.
        again = IntervalTrigger(seconds=_LOOK_AGAIN_SECONDS, timezone="UTC")
        self._scheduler.add_job(self.look, again, name="look again")
        self._scheduler.start()
        self._scheduler.add_job(self.look, name="first look")

    def _fire_if_owed(self, connection: Connection, schedule: Schedule, now: datetime) -> None:
        try:
            job_id = fire_if_owed(connection, schedule, now=now)
        except DATABASE_TROUBLE:
            raise
        except Exception:
            # One schedule that cannot fire must not silence the others.
            log.exception("a schedule cannot fire", schedule=schedule.name)
        else:
            if job_id is not None:
                log.info("schedule fired", schedule=schedule.name, job_id=job_id)

    def fire_all(self) -> None:
        """Fire every schedule once, owed or not."""
        with self._pool.connection() as connection:
            now = database_clock(connection)
            for schedule in self._timetable:
                job_id = fire(connection, schedule, fire_at=now)
                log.info("schedule fired on request", schedule=schedule.name, job_id=job_id)

    def stop(self) -> None:
        """Finish the look at hand and end."""
        self._scheduler.shutdown(wait=True)

    def look(self) -> None:
        """Fire every schedule whose latest fire time was not served yet."""
        try:
            with self._pool.connection() as connection:
                now = database_clock(connection)
                for schedule in self._timetable:
                    self._fire_if_owed(connection, schedule, now)
        except DATABASE_TROUBLE as error:
            log.warning("the clock waits", error=type(error).__name__)
