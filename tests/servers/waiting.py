"""Waiting on a condition: the only way tests wait."""

import time
from collections.abc import Callable


def until(condition: Callable[[], object], what: str, *, seconds: float = 30) -> None:
    """Return as soon as ``condition`` holds.

    Raises:
        AssertionError: it does not within ``seconds``; the text says that we waited for ``what``.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)
