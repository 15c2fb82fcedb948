"""The scheduler put together: clock, relay and reaper over one pool of connections."""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import structlog

from scheduler.clock import Clock
from scheduler.timetable import TIMETABLE, Schedule
from workers.database.open import open_database
from workers.database.pool import connect, open_pool
from workers.database.schema import check_schema
from workers.jobs.publisher import Publisher
from workers.jobs.reaper import STALE_HINT_SECONDS, Reaper
from workers.jobs.relay import RelayLoop, broker_step
from workers.settings import Settings

log = structlog.get_logger(__name__)


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
        self._pool = open_pool(conninfo, size=3, name="scheduler", index_only=True)
        self._clock = Clock(self._pool, timetable)
        self._fire_now = fire_now
        self._reaper = Reaper(self._pool, stale_hint_seconds=stale_hint_seconds)
        self._publisher: Publisher | None = None
        self._relay: RelayLoop | None = None
        if broker_url is not None:
            self._publisher = Publisher(broker_url)
            self._relay = RelayLoop(broker_step(self._pool, self._publisher.publish), name="relay")

    def __enter__(self) -> Self:
        self._reaper.start()
        if self._relay is not None:
            self._relay.start()
        self._clock.start()
        if self._fire_now:
            try:
                self._clock.fire_all()
            except BaseException:
                self.__exit__(None, None, None)
                raise
        log.info("scheduler started", relay=self._relay is not None)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._clock.stop()
        if self._relay is not None:
            self._relay.stop()
        if self._publisher is not None:
            self._publisher.close()
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
        SchedulerService(database.conninfo, broker_url, fire_now=fire_now),
    ):
        stop.wait()
