"""How much to write at a time, and when to wait: decisions, apart from what is measured. Pure."""

from dataclasses import dataclass
from typing import Literal

AIM_SECONDS = 0.010
"""How long one transaction should take: so long, at most, does a writer wait for one of ours."""

FEWEST_ROWS = 20
MOST_ROWS = 400
FIRST_ROWS = 300

_TOO_SLOW = 1.5
_STEP = 20


def next_rows(rows: int, seconds: float, *, aim_seconds: float = AIM_SECONDS) -> int:
    """Return how many rows the next transaction writes, after one of ``rows`` took ``seconds``.

    More by a constant while there is time left, fewer by a share when it took too long: several
    workers that compete come to equal parts that way (AIMD).
    """
    if seconds > _TOO_SLOW * aim_seconds:
        return max(FEWEST_ROWS, rows * 7 // 10)
    if seconds < aim_seconds:
        return min(MOST_ROWS, rows + _STEP)
    return rows


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a run may do to the database; None: no limit."""

    aim_seconds: float = AIM_SECONDS
    replication_lag_bytes: int | None = 256 * 1024 * 1024
    wal_bytes_per_second: int | None = None


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What the database looks like at a moment.

    ``wal_bytes_per_second`` is everybody's, not ours alone; None: nobody could say.
    """

    blocked_sessions: int = 0
    replication_lag_bytes: int | None = None
    wal_bytes_per_second: float | None = None


@dataclass(frozen=True)
class Decision:
    """``go`` on, go on with ``less`` at a time, or ``wait``; the reason is for people."""

    what: Literal["go", "less", "wait"]
    reason: str | None = None


def decide(signals: Signals, limits: Limits) -> Decision:
    """Return what to do while the database looks like that."""
    lag, most_lag = signals.replication_lag_bytes, limits.replication_lag_bytes
    if lag is not None and most_lag is not None and lag > most_lag:
        return Decision("wait", f"a replica is {lag / 2**20:,.0f} MiB behind")
    rate, most_rate = signals.wal_bytes_per_second, limits.wal_bytes_per_second
    if rate is not None and most_rate is not None and rate > most_rate:
        return Decision(
            "wait",
            f"{rate / 2**20:,.0f} MiB/s of WAL are written, and {most_rate / 2**20:,.0f} are the"
            " limit",
        )
    if signals.blocked_sessions:
        return Decision("less", f"{signals.blocked_sessions} sessions wait for this run")
    return Decision("go")
