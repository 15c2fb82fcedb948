"""The dates of a certificate (RFC 5280 §4.1.2.5), read as leniently as they are written. Pure."""

import re
from datetime import UTC, datetime, timedelta

from workers.certificates.reading.der import GENERALIZED_TIME, UTC_TIME, Element, MalformedError

_WRITTEN = {
    UTC_TIME: re.compile(
        r"(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?"
        r"(?P<zone>Z|[+-]\d{4})?",
        re.ASCII,
    ),
    GENERALIZED_TIME: re.compile(
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)(?P<hour>\d\d)"
        r"(?:(?P<minute>\d\d)(?:(?P<second>\d\d)(?:[.,]\d{1,12})?)?)?(?P<zone>Z|[+-]\d{4})?",
        re.ASCII,
    ),
}
# "No end" is written 99991231235959Z (RFC 5280 §4.1.2.5). A day off either end of the calendar lets
# every date be shown in every time zone.
_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
_LATEST = datetime(9999, 12, 30, 23, 59, 59, tzinfo=UTC)


def read_validity(validity: Element) -> tuple[datetime, datetime]:
    """Return when a certificate begins and ends, in UTC; seconds are whole.

    Raises:
        MalformedError: a date cannot be read, or the end lies before the beginning.
    """
    dates = list(validity.children())
    if len(dates) < 2:  # noqa: PLR2004  # notBefore, notAfter
        raise MalformedError("it has no dates")
    not_before = _read(dates[0], "its start date")
    not_after = _read(dates[1], "its end date")
    if not_after < not_before:
        raise MalformedError("it ends before it begins, so that it never was valid")
    return not_before, not_after


def _read(time: Element, which: str) -> datetime:
    pattern = _WRITTEN.get(time.tag)
    match = pattern.fullmatch(time.content.decode("latin-1")) if pattern else None
    if match is None:
        raise MalformedError(f"{which} cannot be read")
    year = int(match["year"])
    if time.tag == UTC_TIME:
        year += 1900 if year >= 50 else 2000  # noqa: PLR2004  # RFC 5280 §4.1.2.5.1
    try:
        moment = datetime(
            year,
            int(match["month"]),
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"] or 0),
            min(int(match["second"] or 0), 59),  # a leap second has no datetime
            tzinfo=UTC,
        )
        return min(max(moment - _offset(match["zone"]), _EARLIEST), _LATEST)
    except (ValueError, OverflowError):
        raise MalformedError(f"{which} is no date") from None


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone == "Z":
        return timedelta(0)
    ahead = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
    return -ahead if zone[0] == "-" else ahead
