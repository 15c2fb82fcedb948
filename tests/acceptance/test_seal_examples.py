"""The examples of docs/how-to/seal-a-secret.md, as they stand there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.keywright_command import ROOT, Keywright, keywright_of_acme, refused
from tests.integration.jobs.workbench import Workbench
from tests.servers.node import node_folder, run_node
from tests.servers.postgres import PostgresServer
from workers.composition import usual_handlers
from workers.database.pool import Connection, open_pool
from workers.jobs.inspection import JobDetails, list_jobs, show_job
from workers.settings import load_settings

PAGE = (ROOT / "docs" / "how-to" / "seal-a-secret.md").read_text(encoding="utf-8")
SECRET = "Marker-5e1a-of-the-page"


def blocks(language: str) -> list[str]:
    """Return the code blocks of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def keywright(postgres: PostgresServer, tmp_path: Path) -> Iterator[Keywright]:
    """The command in a folder with a password."""
    password = tmp_path / "password.txt"
    password.touch(mode=0o600)
    password.write_text(f"{SECRET}\n")
    with keywright_of_acme(postgres, tmp_path) as keywright:
        asked = keywright.run("enqueue", "certificate.generate", "-o", "Acme", "-a", "label=Web")
        assert asked.returncode == 0, asked.stderr
        yield keywright


def shell(keywright: Keywright, folder: Path, lines: str) -> "subprocess.CompletedProcess[str]":
    """Run lines of the page as a person does who has keywright on the path."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    program = programs / "keywright"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m workers.cli "$@"\n')
    program.chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["/bin/sh", "-e", "-c", lines],
        env={**keywright.environment, "PATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def work_off(keywright: Keywright) -> list[JobDetails]:
    """Do the jobs that wait, as a worker does, and return them."""
    settings = load_settings({**keywright.settings, "KEYWRIGHT_SMTP_URL": "smtp://localhost"})
    conninfo = keywright.settings["KEYWRIGHT_DATABASE_URL"]
    with (
        open_pool(conninfo, size=3, name="ledger") as ledger,
        open_pool(conninfo, size=2, name="worker") as pool,
        psycopg.connect(conninfo, autocommit=True) as connection,
    ):
        workbench = Workbench(ledger, pool)
        execution = workbench.execution(usual_handlers(settings, conninfo, ledger))
        jobs = [each.job_id for each in reversed(list_jobs(connection))]
        for job_id in jobs:
            execution.execute(job_id)
        workbench.keeper.stop()
        assert_nowhere(connection)
        return [show_job(connection, job_id) for job_id in jobs]


def assert_nowhere(connection: Connection) -> None:
    """Search every table for the secret."""
    tables = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'keywright'::regnamespace"
    ).fetchall()
    for (table,) in tables:
        rows = connection.execute(f"SELECT to_jsonb(t)::text FROM keywright.{table} AS t")
        assert not [row for row in rows if SECRET in row[0]], table


def test_the_lines_of_the_page_run_and_a_worker_opens_what_they_seal(
    keywright: Keywright, tmp_path: Path
) -> None:
    keys, seals, enqueue, _ = blocks("sh")
    assert shell(keywright, tmp_path, keys).returncode == 0
    done = shell(keywright, tmp_path, seals)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"(sealed:v1:[a-z0-9]+:[A-Za-z0-9_-]+\n){2}", done.stdout)
    done = shell(keywright, tmp_path, enqueue.replace(" --wait", ""))
    assert done.returncode == 0, done.stderr
    _, job = work_off(keywright)
    assert (job.kind, job.state, job.problem) == ("keystore.export", "succeeded", None)


def test_what_the_node_program_seals_a_worker_opens(keywright: Keywright, tmp_path: Path) -> None:
    assert shell(keywright, tmp_path, blocks("sh")[0]).returncode == 0
    [program] = blocks("js")
    folder = node_folder(tmp_path / "node")
    for name in ("sealing-key.json", "password.txt"):
        (folder / name).write_bytes((tmp_path / name).read_bytes())
    (folder / "seal.mjs").write_text(program, encoding="utf-8")
    done = run_node(folder / "seal.mjs", folder=folder)
    assert done.returncode == 0, done.stderr
    asked = keywright.run(
        *("enqueue", "keystore.export", "-o", "Acme", "-a", f"password={done.stdout.strip()}")
    )
    assert asked.returncode == 0, asked.stderr
    _, job = work_off(keywright)
    assert (job.state, job.problem) == ("succeeded", None)


def test_wrong_ways_to_seal_get_one_line(keywright: Keywright, tmp_path: Path) -> None:
    file = str(tmp_path / "password.txt")
    assert "no argument pasword" in refused(
        keywright, "seal", "keystore.export", "pasword", "-o", "Acme", "--secret-file", file
    )
    assert "sealing-key rotate" in refused(keywright, "sealing-key", "show")
    assert "--public-key: no published sealing key" in refused(
        keywright,
        *("seal", "keystore.export", "password", "-o", "Acme", "--secret-file", file),
        *("--public-key", file),
    )
    assert SECRET not in refused(
        keywright, "enqueue", "keystore.export", "-o", "Acme", "-a", f"password={SECRET}"
    )
