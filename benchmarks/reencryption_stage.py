"""What the measurement of re-encryption stands on: an organization, its keys, tables, workers."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import reencryption_table as table
from workers.database.pool import Connection, connect, open_pool
from workers.database.schema import create_schema
from workers.keys.keyring import KeyRing
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.opening import open_root_keys
from workers.keys.rotation import rotate
from workers.organizations.store import add_organization
from workers.reencryption.control import start_run
from workers.reencryption.store import Run, load_run

_PATIENCE_SECONDS = 600


@dataclass
class Stage:
    """A database with an organization, its keys, and where they are."""

    url: str
    root_key: str
    connection: Connection
    keyring: KeyRing
    root_keys: RootKeys
    organization_id: int


@contextmanager
def open_stage(url: str, folder: Path) -> Iterator[Stage]:
    """Set up an organization with a root key in a file."""
    root_key = f"file:{folder / 'root.key'}"
    root_keys = open_root_keys(root_key, create=True)
    with connect(url, name="benchmark") as connection, open_pool(url, size=2, name="keys") as pool:
        create_schema(connection)
        owner = add_organization(
            connection, name="Benchmark", time_zone="UTC", sending_hour=8, is_sandbox=False
        )
        keyring = KeyRing(pool, root_keys)
        yield Stage(url, root_key, connection, keyring, root_keys, owner)


def prepare_table(stage: Stage, name: str, rows: int) -> Any:
    """Make a filled table and register its column."""
    table.make(stage.connection, name)
    field_id = table.register(stage.connection, name)
    table.fill(
        stage.connection,
        name,
        rows,
        keyring=stage.keyring,
        organization_id=stage.organization_id,
        field_id=field_id,
    )
    return field_id


def drop_table(stage: Stage, name: str, field_id: Any) -> None:
    """Remove a table that has served."""
    stage.connection.execute(
        "DELETE FROM keywright.encrypted_field WHERE field_id = %s", [field_id]
    )
    stage.connection.execute(f"DROP TABLE public.{name}")


def rotate_key(stage: Stage) -> None:
    """Make the next master key."""
    rotate(
        stage.connection,
        stage.root_keys,
        organization_id=stage.organization_id,
        expected_number=stage.keyring.active_number(stage.organization_id),
        actor="benchmark",
        reason="measuring",
    )


def start(stage: Stage, name: str) -> int:
    """Begin a run over one table."""
    with stage.connection.transaction():
        return start_run(
            stage.connection,
            stage.keyring,
            organization_id=stage.organization_id,
            field_names=[f"{name}.card"],
            requested_by="benchmark",
        )


def await_end(stage: Stage, run_id: int) -> Run:
    """Wait until a run is completed."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (run := load_run(stage.connection, run_id)).state != "completed":
        if run.state == "paused" or time.monotonic() > deadline:
            sys.exit(f"run {run_id} is {run.state}: {run.waiting_for}")
        time.sleep(0.05)
    return run


def await_share(stage: Stage, run_id: int, rows: int) -> None:
    """Wait until a run has rewritten so many rows."""
    while True:
        row: Any = stage.connection.execute(
            "SELECT coalesce(sum(rewritten), 0) FROM keywright.reencryption_range"
            " WHERE run_id = %s",
            [run_id],
        ).fetchone()
        if row[0] >= rows or load_run(stage.connection, run_id).state == "completed":
            return
        time.sleep(0.02)


@contextmanager
def workers(stage: Stage, count: int) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Run worker processes, started and idle when the block begins."""
    processes = [start_worker(stage) for _ in range(count)]
    time.sleep(2.5)  # so long they take to start, with time to spare: outside the measurement
    try:
        yield processes
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                process.terminate()
        for process in processes:
            process.wait()


def start_worker(stage: Stage) -> "subprocess.Popen[bytes]":
    """Start a worker process as operators would, with one thread."""
    environment = {
        "KEYWRIGHT_DATABASE_URL": stage.url,
        "KEYWRIGHT_ROOT_KEY": stage.root_key,
        "KEYWRIGHT_SMTP_URL": "smtp://127.0.0.1:25",
        "KEYWRIGHT_WORKER_THREADS": "1",
        "KEYWRIGHT_LEASE_SECONDS": "2",
        "KEYWRIGHT_LOG_LEVEL": "error",
    }
    code = "from benchmarks.keywright_worker import work; work()"
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **environment})


def start_process(module: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start an application."""
    return subprocess.Popen([sys.executable, "-m", module, *arguments])


def peak_rss_mb(processes: list["subprocess.Popen[bytes]"]) -> float:
    """Return the most memory that one of the processes ever had, in MB."""
    peaks = []
    for process in processes:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
        peaks.append(int(line.split()[1]) / 1000)
    return round(max(peaks), 1)
