"""Rules of the house that neither the linter nor the import contracts can say."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from psycopg_pool import ConnectionPool

from workers.composition import usual_handlers
from workers.contract import JOB_REQUESTS, JobRequest
from workers.settings import load_settings

ROOT = Path(__file__).parents[2]
CODE = ("workers", "scheduler")
MOST_LINES = 300

SQL_MAY_STAND_IN = (
    "workers/jobs/*.py",
    "workers/database/*.py",
    "workers/certificates/*.py",  # of the rooms below it, only the stores
    "workers/certificates/*/store.py",
    "workers/notifications/inspection.py",
    "workers/notifications/planning.py",
    "workers/notifications/recording.py",
    "workers/notifications/store.py",
    "workers/organizations/store.py",
    "workers/jobs/intake/replies.py",
    "workers/jobs/intake/store.py",
    "workers/requesters/store.py",
    "workers/audit/linking.py",
    "workers/audit/reading.py",
    "workers/audit/recording.py",
    "workers/client/calls.py",
    "workers/keys/*.py",  # root_keys/ knows no database
    "workers/encryption/registry.py",
    "workers/encryption/catalog.py",
    "workers/encryption/fence.py",
    "workers/encryption/viewing.py",
    "workers/reencryption/*.py",
    "workers/announcements/purging.py",
    "workers/announcements/reading.py",
    "workers/announcements/settling.py",
    "workers/announcements/store.py",
    "workers/announcements/webhooks_due.py",
    "workers/webhooks/deliveries.py",
    "workers/webhooks/store.py",
    "workers/notifications/ends.py",
    "workers/cli/demonstration/patients.py",  # an application's own table
    "scheduler/fires.py",
)
SQL = re.compile(r"\s*(WITH|SELECT|INSERT INTO|UPDATE|DELETE FROM|LOCK TABLE|COPY)\s")

# The only door to cleartext keys: workers.keys, and the command that takes in a secret.
MAY_HANDLE_CLEARTEXT_KEYS = ("workers/keys/*.py", "workers/cli/key_material.py")

WITH_EFFECTS = ("workers.main", "workers.cli.__main__", "scheduler.__main__")
IMPORT_ALL = """
import importlib, sys, threading
for name in sys.argv[1:]:
    importlib.import_module(name)
import dramatiq.broker
assert dramatiq.broker.global_broker is None, "a module sets dramatiq's global broker"
assert threading.active_count() == 1, f"a module starts a thread: {threading.enumerate()}"
"""

# Tests of what is no module of ours.
TESTS_OF_OTHER_THINGS = ("tests/unit/test_deployment.py",)


def modules(*folders: str) -> Iterator[Path]:
    """Yield the Python files below folders of the project, as paths from its root."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT)


def dotted(path: Path) -> str:
    """Return the name under which a file is imported."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def test_no_file_is_longer_than_a_few_screens() -> None:
    lengths = {
        str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines())
        for path in modules(*CODE, "tests", "benchmarks")
    }
    assert {path: lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def test_sql_stands_only_where_it_belongs() -> None:
    elsewhere = [
        f"{path}:{node.lineno}"
        for path in modules(*CODE)
        if not any(path.match(place) for place in SQL_MAY_STAND_IN)
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
    ]
    assert elsewhere == []


def test_cleartext_keys_are_handled_behind_one_door() -> None:
    handling = [
        path
        for path in modules(*CODE, "benchmarks")
        if "cleartext_key_material import" in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert handling
    outside = [path for path in handling if not any(map(path.match, MAY_HANDLE_CLEARTEXT_KEYS))]
    assert outside == []


def test_importing_a_module_has_no_effect() -> None:
    names = [name for name in map(dotted, modules(*CODE)) if name not in WITH_EFFECTS]
    assert "workers.jobs.worker" in names
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_kind_of_job_has_a_name_of_its_own_a_queue_and_a_handler() -> None:
    kinds = [request.kind for request in JOB_REQUESTS]
    assert len(set(kinds)) == len(kinds)
    assert [kind for kind in kinds if not re.fullmatch(r"[a-z][a-z_]*\.[a-z][a-z_]*", kind)] == []
    settings = load_settings({"KEYWRIGHT_SMTP_URL": "smtp://localhost"})
    handlers = usual_handlers(settings, "", ConnectionPool(open=False))
    assert set(handlers) == set(JOB_REQUESTS)
    ours = {kind for kind in JobRequest.__subclasses__() if kind.__module__.startswith("workers.")}
    assert ours == set(JOB_REQUESTS)


def test_every_unit_test_mirrors_a_module() -> None:
    orphans = []
    for path in modules("tests/unit"):
        if not path.name.startswith("test_") or str(path) in TESTS_OF_OTHER_THINGS:
            continue
        # A module may have a second file of tests: test_hostile_contents.py is for contents.py.
        words = path.name.removeprefix("test_").split("_")
        names = ["_".join(words[first:]) for first in range(len(words))]
        folder = path.relative_to("tests/unit").parent
        if not any(
            (ROOT / place / folder / name).is_file() for place in ("", "workers") for name in names
        ):
            orphans.append(str(path))
    assert orphans == []
