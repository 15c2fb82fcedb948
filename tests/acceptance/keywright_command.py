"""Running the ``keywright`` command as people do: a process, an environment, a screen."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).parents[2]

Running: TypeAlias = "subprocess.Popen[str]"


@dataclass(frozen=True)
class Keywright:
    """The command with a data folder of its own."""

    data_dir: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment that a command runs in: nothing of ours but what the test sets."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("KEYWRIGHT_")}
        return {**clean, "KEYWRIGHT_DATA_DIR": str(self.data_dir), "COLUMNS": "120"} | self.settings

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run to the end and return what it said."""
        return subprocess.run(
            [sys.executable, "-m", "workers.cli", *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        """Run with ``--json`` and return what it printed."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *command: str) -> Running:
        """Start something that runs until it is told to stop."""
        return subprocess.Popen(
            [sys.executable, *command],
            env=self.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
