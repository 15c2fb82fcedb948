"""What the log shows, and what it does not: no local variables, no chatter of libraries."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from workers.telemetry import configure_logging

NAMED = ("pika", "apscheduler", "psycopg.pool", "mail.log", "dramatiq")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave the logging of the other tests as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in NAMED}
    configuration = structlog.get_config()
    yield
    structlog.configure(**configuration)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Read what was logged as JSON."""
    return [json.loads(line) for line in stream.getvalue().splitlines() if line]


def fail_with_a_secret_in_hand() -> None:
    """Raise while a local variable holds what nobody may see, nor find in the source."""
    password = "".join(reversed("2retnuh"))
    address = "alice@{}".format("example.org")
    try:
        dict[int, str]()[len(password + address)]
    except KeyError as error:
        raise ValueError("this did not work") from error


def log_own_failure(name: str) -> None:
    """Log as our modules do."""
    try:
        fail_with_a_secret_in_hand()
    except ValueError as error:
        structlog.get_logger(name).error("a handler failed", job_id=7, exc_info=error)


def log_foreign_failure(name: str) -> None:
    """Log as libraries do."""
    try:
        fail_with_a_secret_in_hand()
    except ValueError:
        logging.getLogger(name).exception("a library failed")


def test_an_event_is_one_line_of_json_with_its_values() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    structlog.get_logger("test.one_line").info("job done", job_id=7, note="two\nlines")
    [line] = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "job done",
        "job_id": 7,
        "note": "two\nlines",
        "level": "info",
        "logger": "test.one_line",
    }


def test_libraries_log_through_the_same_pipe() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    logging.getLogger("test.library").warning("disk %s full", "nearly")
    [line] = lines(stream)
    assert (line["event"], line["level"]) == ("disk nearly full", "warning")


@pytest.mark.parametrize("log_format", ["json", "text"])
@pytest.mark.parametrize("fail", [log_own_failure, log_foreign_failure])
def test_a_traceback_shows_where_and_why_but_no_local_variables(
    log_format: str, fail: Callable[[str], None]
) -> None:
    stream = io.StringIO()
    configure_logging("info", log_format, stream)
    fail(f"test.failure.{log_format}.{fail.__name__}")
    text = stream.getvalue()
    assert "fail_with_a_secret_in_hand" in text
    assert "this did not work" in text
    assert "hunter2" not in text
    assert "alice@example.org" not in text


def test_a_traceback_in_json_stays_on_one_line() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    log_own_failure("test.traceback")
    [line] = lines(stream)
    assert [each["exc_type"] for each in line["exception"]] == ["ValueError", "KeyError"]


def test_what_lies_below_the_level_is_not_shown() -> None:
    stream = io.StringIO()
    configure_logging("warning", "json", stream)
    log = structlog.get_logger("test.level")
    log.info("hardly worth a line")
    log.warning("worth a line")
    assert [line["event"] for line in lines(stream)] == ["worth a line"]


@pytest.mark.parametrize(
    ("library", "level"),
    [
        ("pika.adapters.utils", logging.ERROR),
        ("apscheduler.executors.default", logging.WARNING),
        ("psycopg.pool", logging.WARNING),
        ("mail.log", logging.INFO),
        ("dramatiq.worker.ConsumerThread", logging.INFO),
    ],
)
def test_the_chatter_of_libraries_is_not_shown_even_when_debugging(
    library: str, level: int
) -> None:
    stream = io.StringIO()
    configure_logging("debug", "json", stream)
    logging.getLogger(library).log(level, "this and that")
    assert lines(stream) == []


def test_configuring_twice_does_not_double_the_lines() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", io.StringIO())
    configure_logging("info", "json", stream)
    structlog.get_logger("test.twice").info("once")
    assert len(lines(stream)) == 1


def test_text_for_a_file_has_no_colours() -> None:
    stream = io.StringIO()
    configure_logging("info", "text", stream)
    structlog.get_logger("test.text").info("job done", job_id=7)
    assert "\x1b" not in stream.getvalue()
    assert "job_id=7" in stream.getvalue()


def test_without_a_stream_it_is_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    structlog.get_logger("test.stderr").info("here")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "here"
