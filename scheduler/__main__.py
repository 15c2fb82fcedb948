"""``python -m scheduler``: runs until SIGTERM or Ctrl-C."""

import signal
import sys
import threading
from collections.abc import Sequence

from scheduler.service import SchedulerService
from scheduler.timetable import TIMETABLE, Schedule
from workers.database.open import open_database
from workers.errors import KeywrightError
from workers.settings import Settings, load_settings
from workers.telemetry import configure_logging


def run(settings: Settings, timetable: Sequence[Schedule] = TIMETABLE) -> None:
    """Run the scheduler in this process until it is told to stop.

    Raises:
        KeywrightError: the database is not there or has another schema.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    broker_url = settings.broker_url.get_secret_value() if settings.broker_url else None
    with (
        open_database(settings.database_url, settings.data_dir) as database,
        SchedulerService(database.conninfo, broker_url, timetable=timetable),
    ):
        stop.wait()


def main() -> None:
    """Run the scheduler as the environment says."""
    try:
        settings = load_settings()
        configure_logging(settings.log_level, settings.log_format)
        run(settings)
    except KeywrightError as error:
        sys.exit(f"scheduler: {error}")


if __name__ == "__main__":
    main()
