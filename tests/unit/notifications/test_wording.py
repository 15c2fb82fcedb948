"""Distances, moments, kinds and places in words."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.notifications.wording import (
    day_in_words,
    days_left,
    headline,
    moment_in_words,
    name_in_words,
    place_in_words,
    status_in_words,
    steps_to_take,
    zone_or_utc,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_days_are_counted_in_the_calendar_of_the_reader() -> None:
    half_past_ten = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
    half_past_eleven = half_past_ten + timedelta(hours=1)  # after midnight in Berlin
    assert days_left(half_past_eleven, half_past_ten, UTC) == 0
    assert days_left(half_past_eleven, half_past_ten, BERLIN) == 1
    assert days_left(half_past_ten, half_past_eleven, BERLIN) == -1


@given(st.integers(min_value=-5000, max_value=5000))
def test_whole_days_are_counted_across_changes_of_the_clock(days: int) -> None:
    now = datetime(2026, 6, 1, 12, tzinfo=BERLIN)
    assert days_left(now + timedelta(days=days), now, BERLIN) == days


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (60, "in 60 days"),
        (2, "in 2 days"),
        (1, "tomorrow"),
        (0, "today"),
        (-1, "yesterday"),
        (-3, "3 days ago"),
    ],
)
def test_days_have_names(days: int, words: str) -> None:
    assert day_in_words(days) == words


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(days=9), "Expires in 9 days"),
        (timedelta(days=2), "Expires in 2 days"),
        (timedelta(hours=47), "Expires in 2 days (47 hours left)"),
        (timedelta(hours=29, minutes=59), "Expires tomorrow (29 hours left)"),
        (timedelta(hours=1, minutes=59), "Expires today (1 hour left)"),
        (timedelta(minutes=12), "Expires today (12 minutes left)"),
        (timedelta(seconds=59), "Expires today (less than a minute left)"),
        (timedelta(), "Expires today (less than a minute left)"),
        (timedelta(seconds=-1), "Expired today"),
        (timedelta(days=-1), "Expired yesterday"),
        (timedelta(days=-40), "Expired 40 days ago"),
    ],
)
def test_the_hours_are_told_when_it_gets_close(left: timedelta, words: str) -> None:
    assert status_in_words(NOON + left, NOON, UTC) == words


def test_the_hours_are_true_hours_when_the_clock_changes() -> None:
    before = datetime(2026, 10, 24, 12, tzinfo=BERLIN)
    after = datetime(2026, 10, 25, 12, tzinfo=BERLIN)
    assert status_in_words(after, before, BERLIN) == "Expires tomorrow (25 hours left)"


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("UTC", "Tue 1 Dec 2026, 12:00 UTC"),
        ("Europe/Berlin", "Tue 1 Dec 2026, 13:00 CET (UTC+1)"),
        ("Asia/Kolkata", "Tue 1 Dec 2026, 17:30 IST (UTC+5:30)"),
        ("America/Chicago", "Tue 1 Dec 2026, 06:00 CST (UTC-6)"),
        ("Asia/Shanghai", "Tue 1 Dec 2026, 20:00 CST (UTC+8)"),
        ("America/Sao_Paulo", "Tue 1 Dec 2026, 09:00 UTC-3"),
        ("Asia/Kathmandu", "Tue 1 Dec 2026, 17:45 UTC+5:45"),
        ("Pacific/Kiritimati", "Wed 2 Dec 2026, 02:00 UTC+14"),
    ],
)
def test_a_moment_cannot_be_misread(zone: str, words: str) -> None:
    moment = datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert moment_in_words(moment, zone_or_utc(zone)) == words


def test_the_end_of_the_calendar_is_told_in_utc_where_a_zone_lies_beyond_it() -> None:
    forever = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280 §4.1.2.5
    kiritimati = zone_or_utc("Pacific/Kiritimati")
    assert moment_in_words(forever, kiritimati) == "Fri 31 Dec 9999, 23:59 UTC"
    assert days_left(forever, NOON, kiritimati) > 2_900_000


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "", "Europe"])
def test_an_unknown_zone_is_utc(name: str) -> None:
    assert zone_or_utc(name) is UTC


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ([9], "Certificate expires in 9 days"),
        ([1], "Certificate expires tomorrow"),
        ([-1], "Certificate expired yesterday"),
        ([9, 20, 20], "3 certificates expire, the first in 9 days"),
        ([1, 1], "2 certificates expire tomorrow"),
        ([-3, -1], "2 certificates expired, the first 3 days ago"),
        ([-1, -1], "2 certificates expired yesterday"),
        ([-1, 30], "2 certificates need attention, the first expired yesterday"),
    ],
)
def test_the_headline_says_what_and_how_soon(days: list[int], words: str) -> None:
    moments = [NOON + timedelta(days=number) for number in days]
    assert headline(moments, NOON, UTC) == words


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("saml_configuration: Okta", "SAML configuration: Okta"),
        ("mutual_tls_listener: 8443", "Mutual TLS listener: 8443"),
        ("api_client: a: b", "API client: a: b"),
        ("SAML configuration: Okta", "SAML configuration: Okta"),
        ("somewhere", "somewhere"),
    ],
)
def test_places_are_put_into_words(place: str, words: str) -> None:
    assert place_in_words(place) == words


def test_a_distinguished_name_can_wrap_and_keeps_its_escapes() -> None:
    assert name_in_words(r"CN=a,O=Acme\, Inc.,C=US") == r"CN=a, O=Acme\, Inc., C=US"


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        ("self_signed", "Generate a new self-signed certificate."),
        ("ca_signed", "Request a new certificate and have the certification authority sign it."),
        ("imported", "Obtain a new certificate from its issuer."),
    ],
)
def test_what_to_do_depends_on_the_kind(kind: str, first: str) -> None:
    steps = steps_to_take(kind, replaced=False, in_use=True)
    assert steps[0] == first
    assert steps[-2:] == (
        "Switch the places above to the new one and test them.",
        "When the new one works, delete this one.",
    )
    replaced = steps_to_take(kind, replaced=True, in_use=True)
    assert first not in replaced
    assert "successor" in replaced[0]


def test_without_a_registered_use_the_first_step_is_to_look_for_one() -> None:
    steps = steps_to_take("imported", replaced=False, in_use=False)
    assert steps[0] == "Find out what uses it; if nothing does, just delete it."
    assert not any("places above" in step for step in steps)
