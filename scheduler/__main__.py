"""``python -m scheduler``: runs until SIGTERM or Ctrl-C."""

import signal
import sys
import threading

from scheduler.service import run_scheduler
from workers.errors import KeywrightError
from workers.settings import load_settings
from workers.telemetry import configure_logging


def main() -> None:
    """Run the scheduler as the environment says."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = load_settings()
        configure_logging(settings.log_level, settings.log_format)
        run_scheduler(settings, stop)
    except KeywrightError as error:
        sys.exit(f"scheduler: {error}")


if __name__ == "__main__":
    main()
