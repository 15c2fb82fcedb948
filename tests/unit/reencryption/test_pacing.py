"""How much at a time, and when to wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.reencryption.pacing import (
    AIM_SECONDS,
    FEWEST_ROWS,
    FIRST_ROWS,
    MOST_ROWS,
    Decision,
    Limits,
    Signals,
    decide,
    next_rows,
)

MIB = 2**20


def test_with_time_left_the_next_transaction_is_a_little_larger() -> None:
    assert next_rows(100, AIM_SECONDS / 2) == 120


def test_after_one_that_took_too_long_it_is_much_smaller() -> None:
    assert next_rows(300, AIM_SECONDS * 2) == 210


def test_about_right_stays_as_it_is() -> None:
    assert next_rows(300, AIM_SECONDS * 1.2) == 300


@given(st.integers(FEWEST_ROWS, MOST_ROWS), st.floats(0, 100))
def test_it_is_always_within_the_bounds(rows: int, seconds: float) -> None:
    assert FEWEST_ROWS <= next_rows(rows, seconds) <= MOST_ROWS


@given(st.integers(FEWEST_ROWS, MOST_ROWS), st.floats(0, 1), st.floats(0, 1))
def test_who_took_longer_never_gets_more(rows: int, one: float, other: float) -> None:
    shorter, longer = sorted((one, other))
    assert next_rows(rows, longer) <= next_rows(rows, shorter)


def test_a_server_that_is_fast_is_soon_used_fully_and_a_slow_one_soon_spared() -> None:
    rows = FIRST_ROWS
    for _ in range(10):
        rows = next_rows(rows, 0.001)
    assert rows == MOST_ROWS
    for _ in range(10):
        rows = next_rows(rows, 1)
    assert rows == FEWEST_ROWS


@pytest.mark.parametrize(
    ("signals", "limits", "what", "says"),
    [
        (Signals(), Limits(), "go", None),
        (Signals(blocked_sessions=3), Limits(), "less", "3 sessions wait for this run"),
        (
            Signals(replication_lag_bytes=300 * MIB),
            Limits(),
            "wait",
            "a replica is 300 MiB behind",
        ),
        (Signals(replication_lag_bytes=256 * MIB), Limits(), "go", None),
        (Signals(replication_lag_bytes=10**12), Limits(replication_lag_bytes=None), "go", None),
        (Signals(wal_bytes_per_second=1e12), Limits(), "go", None),
        (
            Signals(wal_bytes_per_second=30 * MIB),
            Limits(wal_bytes_per_second=20 * MIB),
            "wait",
            "30 MiB/s of WAL are written, and 20 are the limit",
        ),
        (Signals(wal_bytes_per_second=None), Limits(wal_bytes_per_second=1), "go", None),
        (
            Signals(blocked_sessions=1, replication_lag_bytes=10**12),
            Limits(),
            "wait",
            "a replica is 953,674 MiB behind",
        ),
    ],
)
def test_what_the_database_looks_like_decides(
    signals: Signals, limits: Limits, what: str, says: str | None
) -> None:
    assert decide(signals, limits) == Decision(what, says)  # type: ignore[arg-type]
