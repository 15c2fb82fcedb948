"""Organizations whose announcements the broker does not take for now, so that others go on. Pure.

A consumer's queue that is full, and refuses more, makes the broker refuse the message to everybody.
That is its organization's trouble and must not hold up the others'; and each new try brings another
copy to the queues that did take it, so tries become rare.
"""

from collections.abc import Collection

_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 60.0


class Resting:
    """Remembers until when to leave whom alone; organization 0 stands for none."""

    def __init__(self) -> None:
        self._pauses: dict[int, tuple[float, float]] = {}

    def note(self, *, tried: Collection[int], refused: Collection[int], now: float) -> None:
        """Note which organizations' announcements were tried, and which of these were refused.

        ``now`` is in seconds of any steady clock.
        """
        for organization_id in tried:
            if organization_id not in refused:
                self._pauses.pop(organization_id, None)
                continue
            _, before = self._pauses.get(organization_id, (0.0, 0.0))
            pause = min(max(2 * before, _FIRST_SECONDS), _LONGEST_SECONDS)
            self._pauses[organization_id] = (now + pause, pause)

    def at(self, now: float) -> list[int]:
        """Return the organizations to leave alone at a moment."""
        return sorted(each for each, (until, _) in self._pauses.items() if now < until)
