"""How many jobs one organization may have on offer at a time. Pure.

What is on offer waits on the broker first in, first out, so this is how much another may find
before it. It is what workers lately took in twenty-five milliseconds: much where jobs are short, so
that one busy organization keeps all workers busy, and next to nothing where they are long. Whoever
has a queue to itself may have more ahead, which goes in larger messages and saves a third of the
work; the first job of a newcomer may find that before it, once.
"""

from collections import deque
from collections.abc import Sequence

FEWEST = 16
"""Always so many: enough for a few worker processes to begin with."""

MOST = 1000
AHEAD_SECONDS = 0.025
AHEAD_ALONE_SECONDS = 0.25
COMPANY_SECONDS = 60.0
"""So long after its last offer an organization still counts as there."""

_LOOKING_BACK_SECONDS = 1.0


class Pace:
    """How fast the offers of one queue are taken: as fast as new ones can be made."""

    def __init__(self) -> None:
        self._offered: deque[tuple[float, int]] = deque()
        self._sum = 0
        self._last_owner = 0
        self._last_offer_at = self._had_company_at = float("-inf")

    def note(self, owners: Sequence[int], now: float) -> None:
        """Note whose jobs were offered at a moment, in seconds of a clock that only grows.

        ``owners`` are organizations, one per job.
        """
        if owners:
            self._offered.append((now, len(owners)))
            self._sum += len(owners)
            there = set(owners)
            if self._last_offer_at > now - COMPANY_SECONDS:
                there.add(self._last_owner)
            if len(there) > 1:
                self._had_company_at = now
            self._last_owner, self._last_offer_at = owners[-1], now
        self._forget(now)

    def bound(self, now: float) -> int:
        """Return how many jobs of one organization may be on offer."""
        self._forget(now)
        if not self._offered:
            return FEWEST
        has_company = self._had_company_at > now - COMPANY_SECONDS
        ahead = AHEAD_SECONDS if has_company else AHEAD_ALONE_SECONDS
        # A burst that has just begun is judged by the time that it has lasted.
        seconds = min(max(now - self._offered[0][0], ahead), _LOOKING_BACK_SECONDS)
        return int(min(max(self._sum / seconds * ahead, FEWEST), MOST))

    def _forget(self, now: float) -> None:
        while self._offered and self._offered[0][0] < now - _LOOKING_BACK_SECONDS:
            self._sum -= self._offered.popleft()[1]
