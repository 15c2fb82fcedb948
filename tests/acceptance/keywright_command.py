"""Running the ``keywright`` command as people do: a process, an environment, a screen."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias
from urllib.parse import urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.servers.postgres import PostgresServer
from workers.organizations.store import add_organization

ROOT = Path(__file__).parents[2]

Running: TypeAlias = "subprocess.Popen[str]"


@dataclass(frozen=True)
class Keywright:
    """The command with a data folder of its own."""

    data_dir: Path
    settings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def on(cls, conninfo: str, folder: Path, *, root_key: Path | None = None) -> Self:
        """Return the command on a database, and with a root key where a file of one is named."""
        settings = {"KEYWRIGHT_DATABASE_URL": url_of(conninfo)}
        if root_key is not None:
            settings["KEYWRIGHT_ROOT_KEY"] = f"file:{root_key}"
        return cls(folder / "data", settings)

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


@contextmanager
def keywright_of_acme(postgres: PostgresServer, folder: Path) -> Iterator[Keywright]:
    """The command, on a database of its own with one organization, Acme, and a root key."""
    root_key = folder / "root.key"
    root_key.touch(mode=0o600)
    subprocess.run(["openssl", "rand", "-base64", "-out", root_key, "32"], check=True)
    with postgres.database() as conninfo:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            add_organization(
                connection, name="Acme", time_zone="UTC", sending_hour=8, is_sandbox=False
            )
        yield Keywright.on(conninfo, folder, root_key=root_key)


def url_of(conninfo: str) -> str:
    """Return a connection string as the settings want it."""
    place = conninfo_to_dict(conninfo)
    query = urlencode([(name, place[name]) for name in ("host", "port") if name in place])
    return f"postgresql://{place['user']}@/{place['dbname']}?{query}"


def done(keywright: Keywright, *arguments: str, code: int = 0) -> str:
    """Run a command that must end so, without an error; return what it said."""
    ran = keywright.run(*arguments)
    assert (ran.returncode, ran.stderr) == (code, ""), ran.stderr
    return ran.stdout


def refused(keywright: Keywright, *arguments: str, lines: int = 1) -> str:
    """Run a command that must not do it; return its one line, or list of so many."""
    ran = keywright.run(*arguments)
    assert ran.returncode == 1, ran.stdout
    assert ran.stderr.startswith("keywright: ")
    assert ran.stderr.count("\n") == lines
    return ran.stderr
