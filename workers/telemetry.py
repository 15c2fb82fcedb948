"""Logging: one structured line per event, on standard error, as JSON or for the eye.

Libraries log through the same pipe. Secrets never reach it: settings keep them in secret values,
and handlers log ids, dates and numbers only.
"""

import logging
import sys
from typing import TextIO

import structlog

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_logging(level: str, log_format: str, stream: TextIO | None = None) -> None:
    """Send all logging of this process to ``stream``, standard error by default.

    ``level`` is a name such as ``"info"``; ``log_format`` is ``"json"`` or ``"text"``.
    """
    stream = stream or sys.stderr
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    exceptions: structlog.typing.Processor = (
        structlog.processors.ExceptionRenderer(
            # Local variables may hold anything, keys and addresses included.
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        )
        if log_format == "json"
        else structlog.processors.format_exc_info
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                exceptions,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # pika reports each lost connection in many lines; whoever lost it says so in one.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    for noisy in ("apscheduler", "psycopg.pool", "mail.log"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    logging.getLogger("dramatiq").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        cache_logger_on_first_use=True,
    )
