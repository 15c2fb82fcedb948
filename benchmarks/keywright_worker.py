"""A worker process as operators run it, for benchmarks that start several."""

from workers.composition import run_worker
from workers.processes import stop_on_signals
from workers.settings import load_settings
from workers.telemetry import configure_logging


def work() -> None:
    """Be a worker, with what the environment says, until SIGTERM."""
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    run_worker(settings, stop_on_signals())
