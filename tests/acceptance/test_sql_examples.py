"""The examples of docs/how-to/enqueue-from-sql.md and …-from-python.md, as they stand there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.acceptance.keywright_command import ROOT, Keywright, keywright_of_acme, url_of
from tests.acceptance.test_seal_examples import shell
from tests.integration.jobs.workbench import Workbench
from tests.servers.postgres import PostgresServer
from workers.composition import usual_handlers
from workers.database.pool import Connection, open_pool
from workers.settings import load_settings

PAGES = ROOT / "docs" / "how-to"


def examples(page: str) -> list[tuple[str, str]]:
    """Return language and text of each block of a page, in order."""
    text = (PAGES / page).read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def keywright(postgres: PostgresServer, tmp_path: Path) -> Iterator[Keywright]:
    """The command, with what psql wants to know; the role of the pages is gone afterwards."""
    with keywright_of_acme(postgres, tmp_path) as keywright:
        conninfo = keywright.settings["KEYWRIGHT_DATABASE_URL"]
        place = conninfo_to_dict(conninfo)
        names = {"PGHOST": "host", "PGPORT": "port", "PGDATABASE": "dbname"}
        settings = {name: str(place[key]) for name, key in names.items()}
        yield replace(keywright, settings={**keywright.settings, **settings})
        with psycopg.connect(make_conninfo(conninfo, user="postgres"), autocommit=True) as admin:
            if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = 'crm'").fetchone():
                admin.execute("DROP OWNED BY crm; DROP ROLE crm")


@pytest.fixture
def owner(keywright: Keywright) -> Iterator[Connection]:
    """Who owns the database, and the table of the application in it."""
    with psycopg.connect(
        keywright.settings["KEYWRIGHT_DATABASE_URL"], autocommit=True
    ) as connection:
        connection.execute("CREATE TABLE public.site (host text, renewing boolean)")
        connection.execute("INSERT INTO public.site VALUES ('www.example.org', false)")
        yield connection


def let_in(keywright: Keywright, owner: Connection, folder: Path) -> None:
    """Do what an operator does first, as the page has it."""
    [first, *_] = [text for language, text in examples("enqueue-from-sql.md") if language == "sh"]
    ran = shell(keywright, folder, first)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    assert "certificate.generate" in ran.stdout
    owner.execute("GRANT SELECT, UPDATE ON public.site TO crm")


def psql(keywright: Keywright, statements: str) -> list[str]:
    """Run statements in psql as the other system; return the lines that it shows."""
    ran = subprocess.run(
        ["psql", "--no-psqlrc", "--username", "crm"],
        input=statements,
        env=keywright.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=True,
    )
    return [line.rstrip() for line in ran.stdout.splitlines()]


def test_every_example_in_sql_shows_what_the_page_says(
    keywright: Keywright, owner: Connection, tmp_path: Path
) -> None:
    let_in(keywright, owner, tmp_path)
    shown: list[str] = []
    compared = 0
    for language, text in examples("enqueue-from-sql.md"):
        if language == "sql":
            shown = psql(keywright, text)
        elif language == "text":
            rest = iter(shown)
            for line in text.splitlines():
                assert line.rstrip() in rest, "\n".join(shown)
            compared += 1
    assert compared == 7
    assert owner.execute("SELECT renewing FROM public.site").fetchone() == (True,)
    assert owner.execute(
        "SELECT count(*) FROM keywright.job WHERE requested_by = 'requester:crm' AND door = 'sql'"
    ).fetchone() == (2,)


def test_what_the_operator_does_at_the_end_holds(
    keywright: Keywright, owner: Connection, tmp_path: Path
) -> None:
    let_in(keywright, owner, tmp_path)
    [_, last] = [text for language, text in examples("enqueue-from-sql.md") if language == "sh"]
    ran = shell(keywright, tmp_path, last)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    shown = psql(keywright, "SELECT keywright.enqueue('system.ping', '{}', 'Acme');")
    assert shown[0].startswith("ERROR:  this requester has no grant")
    assert owner.execute("SELECT most_open_jobs FROM keywright.organization").fetchone() == (2000,)


def test_what_makes_the_groups_can_be_run_again(keywright: Keywright, tmp_path: Path) -> None:
    ran = shell(
        keywright,
        tmp_path,
        "keywright database roles --sql | psql --no-psqlrc -v ON_ERROR_STOP=1 --username postgres"
        " && keywright database create && keywright database roles",
    )
    assert ran.returncode == 0, ran.stderr
    assert "keywright_scheduler" in ran.stdout


def test_every_command_of_the_overview_works(keywright: Keywright, tmp_path: Path) -> None:
    up = keywright.start("-m", "workers.cli", "up", "--processes", "1")
    try:
        commands = [
            text for language, text in examples("enqueue-from-other-systems.md") if language == "sh"
        ]
        assert len(commands) > 2
        for text in commands:
            ran = shell(keywright, tmp_path, text)
            assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    finally:
        up.terminate()
        said, _ = up.communicate(timeout=60)
    assert up.returncode == 0, said


def test_every_example_in_python_works(
    keywright: Keywright, owner: Connection, tmp_path: Path
) -> None:
    let_in(keywright, owner, tmp_path)
    said = [
        run_python(keywright, owner, tmp_path, text)
        for language, text in examples("enqueue-from-python.md")
        if language == "python"
    ]
    assert said[0] == "1\n"
    assert said[1].startswith("succeeded {'")
    assert said[2].startswith("This requester has no grant for this kind of job")
    assert said[3] == "cancelled\nscheduled\n"
    assert len(said) == 4
    assert owner.execute("SELECT renewing FROM public.site").fetchone() == (True,)
    assert owner.execute("SELECT DISTINCT door FROM keywright.job").fetchall() == [("python",)]


def run_python(keywright: Keywright, owner: Connection, folder: Path, program: str) -> str:
    """Run a program as the other system while a worker does what it asks for; return its words."""
    file = folder / "example.py"
    file.write_text(program, encoding="utf-8")
    conninfo = keywright.settings["KEYWRIGHT_DATABASE_URL"]
    process = subprocess.Popen(
        [sys.executable, file],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": url_of(make_conninfo(conninfo, user="crm")),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        settings = load_settings({**keywright.settings, "KEYWRIGHT_SMTP_URL": "smtp://localhost"})
        with (
            open_pool(conninfo, size=3, name="ledger") as ledger,
            open_pool(conninfo, size=2, name="worker") as pool,
        ):
            workbench = Workbench(ledger, pool)
            execution = workbench.execution(usual_handlers(settings, conninfo, ledger))
            while process.poll() is None:
                for (job_id,) in due(owner):
                    execution.execute(job_id)
            workbench.keeper.stop()
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, said
    return said


def due(owner: Connection) -> list[Any]:
    """Return the jobs that a worker would be given."""
    return owner.execute(
        "SELECT job_id FROM keywright.job WHERE state = 'scheduled' AND run_at <= now()"
        " ORDER BY job_id"
    ).fetchall()
