"""A data folder with processes that use its embedded server, and the server seen from outside."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import LiteralString

import psycopg

from workers.database.layout import Layout

_PATIENCE_SECONDS = 30
_USER = """
import sys
from pathlib import Path
from workers.database.embedded import open_embedded
from workers.telemetry import configure_logging
configure_logging("info", "text")
with open_embedded(Path(sys.argv[1])) as server:
    print(server.conninfo, flush=True)
    sys.stdin.read()
"""


@dataclass
class User:
    """A process that opens the server and uses it until it is told to leave."""

    process: subprocess.Popen[str]
    _conninfo: str | None = None

    def conninfo(self) -> str:
        """Wait until the server is open to this user; return how to connect."""
        if self._conninfo is None:
            assert self.process.stdout
            self._conninfo = self.process.stdout.readline().strip()
            assert self._conninfo, "the process did not get the server open"
        return self._conninfo

    def query(self, statement: LiteralString) -> list[tuple[object, ...]]:
        with psycopg.connect(self.conninfo(), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def leave(self) -> None:
        self.process.communicate(timeout=_PATIENCE_SECONDS)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=_PATIENCE_SECONDS)


@dataclass
class DataFolder:
    """The folder, those who use it, and the server processes at work in it."""

    path: Path
    users: list[User] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        return Layout(self.path)

    def start_user(self, environment: Mapping[str, str] | None = None) -> User:
        """Start a process that opens the server; do not wait for it."""
        process = subprocess.Popen(
            [sys.executable, "-c", _USER, str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self.users.append(User(process))
        return self.users[-1]

    def processes(self) -> dict[int, int]:
        """List the server processes with the parent of each."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                name, _, rest = (process / "stat").read_text().partition(") ")
                if (process / "cwd").readlink() == self.layout.cluster and "(postgres" in name:
                    found[int(process.name)] = int(rest.split()[1])
        return found

    def server(self) -> int:
        """Return the one process that is the parent of all the others."""
        processes = self.processes()
        [server] = [process for process, parent in processes.items() if parent not in processes]
        return server

    def guardian(self) -> int:
        return self.processes()[self.server()]

    def end(self) -> None:
        for user in self.users:
            user.kill()
        eventually(lambda: not self.processes())


def eventually(condition: Callable[[], object]) -> None:
    """Wait until ``condition`` holds."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
