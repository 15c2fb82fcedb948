"""The scheduler put together: clock, relay and reaper over one pool of connections."""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import structlog

from scheduler.clock import Clock
from scheduler.timetable import TIMETABLE, Schedule, timetable
from workers.announcements.relay import AnnouncementRelay
from workers.announcements.settling import settle_step
from workers.announcements.webhooks_due import webhook_step
from workers.audit.linking import linking_step
from workers.database.open import open_database
from workers.database.pool import Acting, connect, open_pool
from workers.database.schema import check_schema
from workers.jobs.confirming import ConfirmingPublisher
from workers.jobs.intake.consumer import IntakeConsumer
from workers.jobs.intake.replies import nobody_waits, reply_step
from workers.jobs.loop import Loop
from workers.jobs.publisher import Publisher
from workers.jobs.reaper import STALE_HINT_SECONDS, Reaper
from workers.jobs.relay import broker_step
from workers.settings import Settings

log = structlog.get_logger(__name__)

_ITSELF = Acting("keywright:scheduler", "schedule")


class SchedulerService:
    """Runs while its ``with`` block does. Any number of them may run at once.

    ``broker_url`` None means that each worker process relays for itself; clock and reaper are
    needed all the same.
    """

    def __init__(
        self,
        conninfo: str,
        broker_url: str | None,
        *,
        timetable: Sequence[Schedule] = TIMETABLE,
        stale_hint_seconds: float = STALE_HINT_SECONDS,
        fire_now: bool = False,
    ) -> None:
        with connect(conninfo, name="scheduler") as connection:
            check_schema(connection)
        self._pool = open_pool(conninfo, size=5, name="scheduler", index_only=True, acting=_ITSELF)
        self._clock = Clock(self._pool, timetable)
        self._fire_now = fire_now
        self._reaper = Reaper(self._pool, stale_hint_seconds=stale_hint_seconds)
        self._publisher: Publisher | None = None
        self._loops: list[Loop] = [
            Loop(settle_step(self._pool), name="announcements settle", longest_pause_seconds=0.1),
            Loop(linking_step(self._pool), name="audit links", longest_pause_seconds=1),
            Loop(webhook_step(self._pool), name="webhooks", longest_pause_seconds=1),
        ]
        self._announcements: AnnouncementRelay | None = None
        self._intake: IntakeConsumer | None = None
        self._replies: ConfirmingPublisher | None = None
        if broker_url is not None:
            self._publisher = Publisher(broker_url)
            self._loops.append(Loop(broker_step(self._pool, self._publisher.publish), name="relay"))
            self._intake = IntakeConsumer(broker_url, self._pool)
            self._replies = ConfirmingPublisher(
                broker_url, lambda _: None, name="replies", returned=nobody_waits
            )
            self._loops.append(Loop(reply_step(self._pool, self._replies), name="replies"))
            self._announcements = AnnouncementRelay(conninfo, broker_url)
            self._loops.append(
                Loop(self._announcements.step, name="announcements", longest_pause_seconds=0.1)
            )

    def __enter__(self) -> Self:
        self._reaper.start()
        for loop in self._loops:
            loop.start()
        if self._intake is not None:
            self._intake.start()
        self._clock.start()
        if self._fire_now:
            try:
                self._clock.fire_all()
            except BaseException:
                self.__exit__(None, None, None)
                raise
        log.info("scheduler started", loops=len(self._loops))
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._clock.stop()
        if self._intake is not None:
            self._intake.stop()
        for loop in self._loops:
            loop.stop()
        if self._replies is not None:
            self._replies.close()
        if self._publisher is not None:
            self._publisher.close()
        if self._announcements is not None:
            self._announcements.close()
        self._reaper.stop()
        self._pool.close()
        log.info("scheduler stopped")


def run_scheduler(settings: Settings, stop: threading.Event, *, fire_now: bool = False) -> None:
    """Run a scheduler in this process until ``stop`` is set.

    With ``fire_now`` every schedule fires once at the start, whenever it fired last.

    Raises:
        KeywrightError: the database is not there or has another schema.
    """
    broker_url = settings.broker_url.get_secret_value() if settings.broker_url else None
    with (
        open_database(settings.database_url, settings.data_dir) as database,
        SchedulerService(
            database.conninfo,
            broker_url,
            timetable=timetable(
                announcement_days=settings.announcement_days,
                sealing_key_days=settings.sealing_key_days,
            ),
            fire_now=fire_now,
        ),
    ):
        stop.wait()
