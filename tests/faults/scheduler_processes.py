"""Schedulers in processes of their own, to be killed."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.acceptance.keywright_command import url_of


class Schedulers:
    """Scheduler processes over one database and broker."""

    def __init__(self, conninfo: str, broker_url: str, stack: ExitStack) -> None:
        self._environment = {
            **{name: each for name, each in os.environ.items() if "KEYWRIGHT" not in name},
            "KEYWRIGHT_DATABASE_URL": url_of(conninfo),
            "KEYWRIGHT_BROKER_URL": broker_url,
        }
        self._stack = stack
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Run one more."""
        process = subprocess.Popen(
            [sys.executable, "-m", "scheduler"],
            env=self._environment,
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        self._running.append(process)

    def kill_one(self, which: int) -> None:
        """End one at once, as a loss of power would."""
        process = self._running.pop(which)
        process.send_signal(signal.SIGKILL)
        process.wait()
