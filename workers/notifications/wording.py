"""How a notice says things: distances in time, moments, kinds and advice in words. Pure."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# Not strftime: its names follow the locale of the process.
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_KINDS = {
    "self_signed": "self-signed",
    "ca_signed": "signed by a certification authority",
    "imported": "imported",
}
_NEW_ONE = {
    "self_signed": ("Generate a new self-signed certificate.",),
    "ca_signed": (
        "Request a new certificate and have the certification authority sign it.",
        "Upload the signed chain: keywright certificate upload NAME FILES -o ORGANIZATION",
    ),
    "imported": (
        "Obtain a new certificate from its issuer.",
        "Import it: keywright certificate import FILE -o ORGANIZATION --renews NAME",
    ),
}
_ACRONYMS = {word.lower(): word for word in ("API", "CA", "HTTPS", "JWT", "SAML", "SSO", "TLS")}


def zone_or_utc(name: str) -> tzinfo:
    """Return the time zone of this IANA name, or UTC where this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def in_zone(moment: datetime, zone: tzinfo) -> datetime:
    """Return ``moment`` in ``zone``; in UTC at the ends of the calendar, where zones overflow."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment.astimezone(UTC)


def days_left(not_after: datetime, now: datetime, zone: tzinfo) -> int:
    """Return how many midnights of ``zone`` lie before the end; negative when it is over."""
    return (in_zone(not_after, zone).date() - in_zone(now, zone).date()).days


def has_expired(not_after: datetime, now: datetime) -> bool:
    """Whether it is over; a certificate is still valid at its ``not_after`` (RFC 5280 §4.1.2.5)."""
    return now > not_after


def day_in_words(days: int) -> str:
    """Return a day as seen from today: ``in 9 days``, ``tomorrow``, ``today``, ``3 days ago``."""
    named = {-1: "yesterday", 0: "today", 1: "tomorrow"}
    return named.get(days) or (f"in {days} days" if days > 0 else f"{-days} days ago")


def status_in_words(not_after: datetime, now: datetime, zone: tzinfo) -> str:
    """Return ``Expires in 9 days``, or ``Expired yesterday``; with the hours below two days."""
    day = day_in_words(days_left(not_after, now, zone))
    if has_expired(not_after, now):
        return f"Expired {day}"
    left = not_after.astimezone(UTC) - now.astimezone(UTC)
    return f"Expires {day}" + (f" ({_time_left(left)} left)" if left < timedelta(days=2) else "")


def _time_left(left: timedelta) -> str:
    minutes = int(left.total_seconds()) // 60
    if minutes < 1:
        return "less than a minute"
    return _count(minutes // 60, "hour") if minutes >= 60 else _count(minutes, "minute")  # noqa: PLR2004


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def moment_in_words(moment: datetime, zone: tzinfo) -> str:
    """Return such as ``Tue 1 Dec 2026, 13:00 CET (UTC+1)``: CST and IST alone are ambiguous."""
    local = in_zone(moment, zone)
    day = f"{_WEEKDAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]} {local.year}"
    name = local.tzname() or "UTC"
    offset = _offset(local.utcoffset() or timedelta())
    if name == "UTC":
        return f"{day}, {local:%H:%M} UTC"
    # Zones without an abbreviation of their own are called by their offset, such as “-03”.
    return f"{day}, {local:%H:%M} " + (f"{name} ({offset})" if name.isalpha() else offset)


def _offset(offset: timedelta) -> str:
    minutes = round(abs(offset).total_seconds() / 60)
    hours, rest = divmod(minutes, 60)
    sign = "-" if offset < timedelta() else "+"
    return f"UTC{sign}{hours}" + (f":{rest:02}" if rest else "")


def headline(moments: Sequence[datetime], now: datetime, zone: tzinfo) -> str:
    """Say what a digest is about, from the ends of its certificates, the first of them first."""
    days = [days_left(moment, now, zone) for moment in moments]
    over = [has_expired(moment, now) for moment in moments]
    first = day_in_words(days[0])
    if len(moments) == 1:
        return f"Certificate {'expired' if over[0] else 'expires'} {first}"
    if over[0] and not over[-1]:
        return f"{len(moments)} certificates need attention, the first expired {first}"
    verb = "expired" if over[0] else "expire"
    if days[0] == days[-1]:
        return f"{len(moments)} certificates {verb} {first}"
    return f"{len(moments)} certificates {verb}, the first {first}"


def kind_in_words(kind: str) -> str:
    """Return the name of a ``certificate_kind`` for people."""
    return _KINDS[kind]


def name_in_words(distinguished_name: str) -> str:
    """Return a distinguished name (RFC 4514) with a blank after each comma, so that it can wrap."""
    return re.sub(r"(?<!\\),(?! )", ", ", distinguished_name)


def place_in_words(place: str) -> str:
    """Return ``saml_configuration: Okta`` as ``SAML configuration: Okta``; other text as it is."""
    kind, colon, name = place.partition(": ")
    if not colon or not re.fullmatch(r"[a-z][a-z_]*", kind):
        return place
    words = [_ACRONYMS.get(word, word) for word in kind.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]]) + f": {name}"


@cache
def steps_to_take(kind: str, *, replaced: bool, in_use: bool) -> tuple[str, ...]:
    """Say what to do about a certificate of this ``certificate_kind``, step by step.

    ``replaced``: a successor exists; ``in_use``: at least one place is registered.
    """
    target = "its successor, which is there already," if replaced else "the new one"
    switch = (
        f"Switch the places above to {target} and test them."
        if in_use
        else f"Switch what uses it to {target} and test that."
    )
    return (
        *(() if in_use else ("Find out what uses it; if nothing does, just delete it.",)),
        *(() if replaced else _NEW_ONE[kind]),
        switch,
        "When the new one works, delete this one.",
    )
