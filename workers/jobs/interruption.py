"""Stopping a handler from outside: at its time limit, at a lost lease, at shutdown.

An exception is raised inside the handler's thread. It is derived from BaseException, so that a
handler's ``except Exception`` does not swallow it, and it can strike only while the handler runs:
never while the ledger records the outcome.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from dramatiq.threading import Interrupt, raise_thread_exception

Result = TypeVar("Result")


class TimeLimitExceeded(Interrupt):
    """The handler ran longer than its kind may."""


class ShutdownRequested(Interrupt):
    """The worker stops and its grace is over."""


class ClaimLost(Interrupt):
    """The job was given to another worker."""


class Interruptible:
    """Runs one call that other threads may interrupt, at most once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread_id: int | None = None
        self._interruption: type[Interrupt] | None = None

    def run(self, call: Callable[[], Result]) -> Result:
        """Run ``call`` in this thread and return what it returns.

        Raises:
            Interrupt: another thread interrupted it. After this returns or raises, nothing can
                strike any more.
        """
        with self._lock:
            self._thread_id = threading.get_ident()
        struck = False
        try:
            return call()
        except Interrupt:
            struck = True
            raise
        finally:
            with self._lock:
                self._thread_id = None
                pending = self._interruption is not None and not struck
            if pending:
                self._await_strike()

    @property
    def was_interrupted(self) -> bool:
        """Whether somebody has interrupted the call."""
        return self._interruption is not None

    def interrupt(self, interruption: type[Interrupt]) -> bool:
        """Raise ``interruption`` in the running call; False where it is not running any more."""
        with self._lock:
            if self._thread_id is None or self._interruption is not None:
                return False
            self._interruption = interruption
            raise_thread_exception(  # type: ignore[no-untyped-call]
                self._thread_id, interruption
            )
            return True

    def _await_strike(self) -> None:
        # The interpreter delivers the exception within a few bytecodes; without this pause that
        # could be in the middle of recording the outcome.
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            time.sleep(0.001)
        if self._interruption is not None:
            raise self._interruption
