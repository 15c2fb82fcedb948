from datetime import UTC, datetime, timedelta

import pytest

from workers.certificates.issuance.lifetimes import (
    LifetimeError,
    cap_days,
    check_cap,
    exceeded_cap,
    years_later,
)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_rule_8_a_year_is_the_same_day_of_the_next_one() -> None:
    moment = datetime(2026, 11, 5, 13, 14, 15, tzinfo=UTC)
    assert years_later(moment, 1) == datetime(2027, 11, 5, 13, 14, 15, tzinfo=UTC)
    assert years_later(moment, 2) == datetime(2028, 11, 5, 13, 14, 15, tzinfo=UTC)


def test_rule_8_what_begins_on_29_february_ends_on_28_february() -> None:
    leap = datetime(2028, 2, 29, 12, tzinfo=UTC)
    assert years_later(leap, 1) == datetime(2029, 2, 28, 12, tzinfo=UTC)
    assert years_later(leap, 2) == datetime(2030, 2, 28, 12, tzinfo=UTC)
    assert years_later(day("2027-02-28"), 1) == day("2028-02-28")


@pytest.mark.parametrize(
    ("made_on", "days"),
    [
        ("2025-06-01", 398),
        ("2026-03-14", 398),
        ("2026-03-15", 200),
        ("2027-03-14", 200),
        ("2027-03-15", 100),
        ("2029-03-14", 100),
        ("2029-03-15", 47),
        ("2035-01-01", 47),
    ],
)
def test_rule_18_the_cap_is_that_of_the_day_it_was_made(made_on: str, days: int) -> None:
    assert cap_days(day(made_on)) == days


@pytest.mark.parametrize(
    ("made_on", "last_day"), [("2025-06-01", "2026-07-04"), ("2026-06-01", "2026-12-18")]
)
def test_rule_18_the_models_examples(made_on: str, last_day: str) -> None:
    assert exceeded_cap(day(made_on), day(last_day)) is None
    assert exceeded_cap(day(made_on), day(last_day) + timedelta(seconds=1)) is not None


def test_rule_18_the_day_counts_in_utc() -> None:
    in_berlin = datetime.fromisoformat("2026-03-15T00:30:00+01:00")
    assert cap_days(in_berlin) == 398


def test_rule_18_a_cap_is_a_warning_a_refusal_or_nothing() -> None:
    begin, end = day("2026-06-01"), day("2027-06-01")
    assert check_cap(begin, end, caps="ignore", how_to_fix="") is None
    assert check_cap(begin, end, caps="warn", how_to_fix="") == (
        "It lasts 365 days, and the CA/Browser Forum allows a TLS server's certificate made on"
        " 2026-06-01 no more than 200."
    )
    with pytest.raises(LifetimeError, match=r"^validity_days: it lasts 365 days.*; take fewer\.$"):
        check_cap(begin, end, caps="refuse", how_to_fix="take fewer")
    assert check_cap(begin, begin + timedelta(days=200), caps="refuse", how_to_fix="") is None
