"""``keywright audit``, and the verifier of docs/how-to/audit.md as it stands there."""

import getpass
import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.keywright_command import ROOT, Keywright, done, refused
from tests.integration.audit.record import do, unguarded
from tests.servers.postgres import PostgresServer
from workers.audit.linking import link_what_waits
from workers.database.pool import Connection

PAGE = (ROOT / "docs" / "how-to" / "audit.md").read_text(encoding="utf-8")


@pytest.fixture
def keywright(conninfo: str, tmp_path: Path, connection: Connection) -> Keywright:
    """The command on a database in which something was done by an operator and something else."""
    keywright = Keywright.on(conninfo, tmp_path)
    done(keywright, "organization", "add", "Größe & Söhne")
    do(connection, 5)
    return keywright


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, content: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in content), encoding="utf-8")
    return path


@pytest.fixture
def independent(tmp_path: Path) -> Path:
    """The program of the page."""
    [program] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    path = tmp_path / "verify.py"
    path.write_text(program, encoding="utf-8")
    return path


def verdict(program: Path, *arguments: str) -> tuple[int, str]:
    ran = subprocess.run(
        [sys.executable, program, *arguments], capture_output=True, text=True, check=False
    )
    return ran.returncode, (ran.stdout or ran.stderr).strip()


def test_an_auditor_lists_and_verifies_and_leaves_exports_to_operators(
    keywright: Keywright, conninfo: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    done(keywright, "audit", "verify")  # links what waits
    with postgres.login(conninfo, "keywright_reader") as login:
        auditor = Keywright.on(login, tmp_path)
        assert auditor.json("audit", "list", "-o", "Größe & Söhne")
        assert "all fit" in done(auditor, "audit", "verify")
        exported = tmp_path / "audit.jsonl"
        assert "use that of an operator" in refused(auditor, "audit", "export", str(exported))
        assert not exported.exists()


def test_what_was_done_is_listed_with_who_did_it(keywright: Keywright) -> None:
    [entry] = keywright.json("audit", "list", "-o", "Größe & Söhne")
    assert entry["actor"] == f"operator:{getpass.getuser()}"
    assert (entry["door"], entry["action"]) == ("cli", "organization.create")
    assert entry["after"]["name"] == "Größe & Söhne"
    assert entry["before"] is None
    by_sql = keywright.json("audit", "list", "--actor", "database:keywright", "--limit", "2")
    assert [each["door"] for each in by_sql] == ["sql", "sql"]
    assert keywright.json("audit", "list", "--object", entry["object"]) == [entry]
    assert len(keywright.json("audit", "list", "--action", "organization.*")) == 6
    assert keywright.json("audit", "list", "--until", "2020-01-01") == []
    assert keywright.json("audit", "list", "--since", "2100-01-01") == []
    shown = done(keywright, "audit", "list", "--limit", "2")
    [older] = re.findall(r"Older ones: (--before \d+)", shown)
    assert len(keywright.json("audit", "list", *older.split())) >= 4


def test_a_record_is_verified_and_its_head_kept(
    keywright: Keywright, connection: Connection
) -> None:
    head = done(keywright, "audit", "verify").splitlines()[-1]
    assert re.fullmatch(r"\d+:[0-9a-f]{64}", head)
    do(connection, 3, name="later")
    found = keywright.json("audit", "verify", "--expect", head)
    assert found["faults"] == []
    assert found["checked"] == int(head.split(":")[0]) + 3
    assert keywright.json("audit", "verify", "--from", "4")["checked"] == found["checked"] - 3


def test_a_fault_is_located_and_the_exit_code_says_so(
    keywright: Keywright, conninfo: str, connection: Connection
) -> None:
    link_what_waits(connection)
    with unguarded(conninfo) as eve:
        eve.execute("UPDATE keywright.audit_entry SET actor = 'operator:eve' WHERE entry_id = 4")
    said = refused(keywright, "audit", "verify")
    assert "1 fault in" in said
    assert "position 4, entry 4: the hash does not fit" in said
    ran = keywright.run("audit", "verify", "--json")
    assert ran.returncode == 1
    assert [each["position"] for each in json.loads(ran.stdout)["faults"]] == [4]


def test_an_end_that_was_cut_off_is_found_with_the_head_that_was_kept(
    keywright: Keywright, conninfo: str
) -> None:
    head = keywright.json("audit", "verify")["head"]
    with unguarded(conninfo) as eve:
        for table in ("audit_entry", "audit_link"):
            eve.execute(
                f"DELETE FROM keywright.{table} WHERE entry_id ="
                f" (SELECT max(entry_id) FROM keywright.{table})".encode()
            )
    assert keywright.json("audit", "verify")["faults"] == []
    assert "the end was cut off" in refused(keywright, "audit", "verify", "--expect", head)
    position = int(head.split(":")[0]) - 1
    forged = f"{position}:{'0' * 64}"
    assert "not the one that was kept" in refused(keywright, "audit", "verify", "--expect", forged)


def test_an_export_is_private_and_verified_without_a_database(
    keywright: Keywright, tmp_path: Path, independent: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    head = done(keywright, "audit", "export", str(path)).splitlines()[-1]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert lines(path)[-1] == {"head": head}
    elsewhere = Keywright(tmp_path / "none", {"KEYWRIGHT_DATABASE_URL": "postgresql://nobody@/x"})
    assert elsewhere.json("audit", "verify", "--file", str(path))["head"] == head
    assert verdict(independent, str(path)) == (0, head)
    assert verdict(independent, str(path), head) == (0, head)
    assert "is no link of it" in verdict(independent, str(path), f"3:{'0' * 64}")[1]
    assert "exists already" in refused(keywright, "audit", "export", str(path))
    [entry] = keywright.json("audit", "list", "--action", "audit.export")
    assert entry["after"] == {"first": 1, "head": head}


def test_an_export_may_begin_in_the_middle(
    keywright: Keywright, tmp_path: Path, independent: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    exported = keywright.json("audit", "export", str(path), "--from", "4")
    assert lines(path)[1]["position"] == 4
    assert len(lines(path)) == exported["links"] + 2
    assert keywright.json("audit", "verify", "--file", str(path))["checked"] == exported["links"]
    assert verdict(independent, str(path)) == (0, exported["head"])
    said = refused(keywright, "audit", "export", str(tmp_path / "other"), "--from", "1000")
    assert "the chain has no position 999" in said
    assert not (tmp_path / "other").exists()


def test_tampering_with_an_export_is_located(
    keywright: Keywright, tmp_path: Path, independent: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    done(keywright, "audit", "export", str(path))
    whole = lines(path)
    altered = json.loads(json.dumps(whole))
    altered[5]["entry"]["actor"] = "operator:eve"
    for name, content, place in (
        ("altered", altered, "position 5"),
        ("without-one", whole[:5] + whole[6:], "position 5"),
        ("swapped", [*whole[:4], whole[5], whole[4], *whole[6:]], "position 4"),
        ("cut-off", whole[:-3], f"position {len(whole) - 3}"),
    ):
        file = write(tmp_path / name, content)
        assert place in refused(keywright, "audit", "verify", "--file", str(file)), name
        code, said = verdict(independent, str(file))
        assert code == 1, name
        assert "position" in said, name
    broken = tmp_path / "broken"
    broken.write_text("{}\n")
    assert "line 1: cannot be read" in refused(keywright, "audit", "verify", "--file", str(broken))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--expect", "nonsense"), "POSITION:HASH"),
        (("--expect", "-1:00"), "POSITION:HASH"),
        (("--from", "4000"), "the chain has no position 3999"),
        (("--file", "no-such-file"), "cannot be read"),
        (("--file", "x", "--from", "3"), "leave it out"),
    ],
    ids=["nonsense", "below", "from", "file", "both"],
)
def test_what_cannot_be_verified_is_one_line(
    keywright: Keywright, arguments: tuple[str, ...], says: str
) -> None:
    assert says in refused(keywright, "audit", "verify", *arguments)
