"""Child processes of keywright: started, restarted when they die, and ended together."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger(__name__)

_PR_SET_PDEATHSIG = 1
_SHORTEST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_LIVED_WELL = 60.0


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and Ctrl-C set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


@dataclass
class _Child:
    arguments: tuple[str, ...]
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    pause: float = field(default=_SHORTEST_PAUSE)


class Processes:
    """Keeps one process of `keywright` running per given command line."""

    def __init__(
        self, commands: Sequence[Sequence[str]], *, environment: Mapping[str, str] | None = None
    ) -> None:
        self._children = [_Child(tuple(command)) for command in commands]
        self._environment = {**os.environ, **(environment or {})}  # noqa: TID251  # handed on whole

    def run_until(self, stop: threading.Event, *, patience_seconds: float) -> None:
        """Run them until ``stop`` is set; then let them finish for ``patience_seconds``."""
        try:
            while not stop.is_set():
                self.keep_alive()
                stop.wait(0.2)
        finally:
            self.end(patience_seconds)

    def keep_alive(self) -> None:
        """Start what is not running, waiting longer each time a process dies young."""
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.start_again_at:
                    self._start(child)
                continue
            code = child.process.poll()
            if code is None:
                continue
            log.error("a process ended", command=" ".join(child.arguments), code=code)
            lived_well = now - child.started_at > _LIVED_WELL
            pause = _SHORTEST_PAUSE if lived_well else child.pause
            child.pause = min(pause * 2, _LONGEST_PAUSE)
            child.process = None
            child.start_again_at = now + pause

    def end(self, patience_seconds: float) -> None:
        """Ask all to stop; kill those that have not after ``patience_seconds``."""
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + patience_seconds
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("a process did not stop in time and is killed", pid=process.pid)
                process.kill()
                process.wait()

    def _start(self, child: _Child) -> None:
        child.started_at = time.monotonic()
        child.process = subprocess.Popen(  # noqa: S603  # our own command line
            [sys.executable, "-m", "workers.cli", *child.arguments],
            env=self._environment,
            # Ctrl-C in the terminal reaches this process alone, which ends the others in order.
            process_group=0,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  # one system call, no locks
        )


def _die_with_parent() -> None:
    # Should this process be killed, its children stop gracefully instead of living on unseen.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
