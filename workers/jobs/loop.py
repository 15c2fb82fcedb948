"""A thread that does small steps again and again, and survives whatever happens in them."""

import threading
from collections.abc import Callable

import structlog

from workers.database.pool import DATABASE_TROUBLE
from workers.errors import TransientError

log = structlog.get_logger(__name__)

_SHORTEST_PAUSE = 0.005
_LONGEST_PAUSE = 0.05
_PAUSE_AFTER_TROUBLE = 1.0
_MUCH = 64


class Loop:
    """Runs one step after the other, resting a little longer each time nothing was due.

    ``step`` does what is due and returns how much that was. After nothing, the loop rests up to
    ``longest_pause_seconds``.
    """

    def __init__(
        self,
        step: Callable[[], int],
        *,
        name: str,
        longest_pause_seconds: float = _LONGEST_PAUSE,
    ) -> None:
        self._step = step
        self._name = name
        self._longest_pause = longest_pause_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the step at hand and end."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        pause = _SHORTEST_PAUSE
        in_trouble = False
        while not self._stop.is_set():
            try:
                done = self._step()
            except (TransientError, *DATABASE_TROUBLE) as error:
                if not in_trouble:
                    log.warning(
                        "a loop waits",
                        loop=self._name,
                        error=type(error).__name__,
                        reason=str(error),
                    )
                in_trouble = True
                pause = _PAUSE_AFTER_TROUBLE
            except Exception:
                # A thread that dies here would stop everything, and nobody would see it.
                log.exception("a loop met something unforeseen and goes on", loop=self._name)
                pause = _PAUSE_AFTER_TROUBLE
            else:
                if in_trouble:
                    log.info("a loop goes on", loop=self._name)
                in_trouble = False
                pause = self._pause_after(done, pause)
            self._stop.wait(pause)

    def _pause_after(self, done: int, pause: float) -> float:
        """Return how long to rest: the less there was to do, the longer; when there was much, too.

        Then others have enough for a while, and more at a time costs everybody less.
        """
        if done > _MUCH:
            return _LONGEST_PAUSE
        return _SHORTEST_PAUSE if done else min(pause * 1.5, self._longest_pause)
