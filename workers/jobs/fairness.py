"""How many jobs one organization may have on offer at a time. Pure.

What is on offer waits on the broker first in, first out, so this is how much a newcomer may find
before it. It is what workers lately took in thirty milliseconds: much where jobs are short, so that
one busy organization keeps all workers busy, and next to nothing where they are long.
"""

from collections import deque

FEWEST = 16
"""Always so many: enough for a few worker processes to begin with."""

MOST = 1000
AHEAD_SECONDS = 0.03
_LOOKING_BACK_SECONDS = 1.0


class Pace:
    """How fast the offers of one queue are taken: as fast as new ones can be made."""

    def __init__(self) -> None:
        self._offered: deque[tuple[float, int]] = deque()
        self._sum = 0

    def note(self, offered: int, now: float) -> None:
        """Note how many jobs were offered at a moment, in seconds of a clock that only grows."""
        if offered:
            self._offered.append((now, offered))
            self._sum += offered
        self._forget(now)

    def bound(self, now: float) -> int:
        """Return how many jobs of one organization may be on offer."""
        self._forget(now)
        if not self._offered:
            return FEWEST
        # A burst that has just begun is judged by the time that it has lasted.
        seconds = min(max(now - self._offered[0][0], AHEAD_SECONDS), _LOOKING_BACK_SECONDS)
        return int(min(max(self._sum / seconds * AHEAD_SECONDS, FEWEST), MOST))

    def _forget(self, now: float) -> None:
        while self._offered and self._offered[0][0] < now - _LOOKING_BACK_SECONDS:
            self._sum -= self._offered.popleft()[1]
