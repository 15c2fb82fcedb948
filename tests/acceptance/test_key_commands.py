"""The life of master keys, as an operator leads it with ``keywright key``."""

import getpass
import os
import subprocess
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.keywright_command import Keywright, done, refused
from tests.acceptance.terminal import at_a_terminal
from tests.integration.keys.custody import ACTOR, PASSPHRASE, Custody
from workers.database.pool import Connection
from workers.keys.states import State

ACME = ("-o", "Acme")


@pytest.fixture
def custody(connection: Connection, tmp_path: Path) -> Custody:
    """An organization whose key 1 is archived and whose key 2 is active."""
    return Custody.of(connection, tmp_path)


@pytest.fixture
def keywright(custody: Custody, tmp_path: Path) -> Keywright:
    """The command, on that organization's database and root key."""
    return Keywright.on(custody.connection.info.dsn, tmp_path, root_key=custody.folder / "root.key")


@pytest.fixture
def passphrase_file(tmp_path: Path) -> str:
    """A file with the passphrase, for its owner alone."""
    return secret_file(tmp_path / "passphrase", f"{PASSPHRASE}\na second line\n".encode())


def secret_file(path: Path, content: bytes) -> str:
    path.touch(mode=0o600)
    path.write_bytes(content)
    return str(path)


def states(keywright: Keywright) -> dict[int, str]:
    rows: list[dict[str, Any]] = keywright.json("key", "list", *ACME)
    return {row["number"]: row["state"] for row in rows}


def test_the_first_key_is_made_with_a_root_key_of_its_own(tmp_path: Path) -> None:
    keywright = Keywright(tmp_path / "data")
    done(keywright, "organization", "add", "Acme")
    assert "There are no master keys yet" in done(keywright, "key", "list")
    assert "Master key 1 is active, the first" in done(keywright, "key", "rotate", *ACME)
    root_key = tmp_path / "data" / "root.key"
    assert root_key.stat().st_mode & 0o777 == 0o600
    [row] = keywright.json("key", "root-keys")
    assert (row["is_current"], row["wraps"], row["only_here"]) == (True, 1, 1)


def test_rotating_archives_one_key_and_makes_the_next(keywright: Keywright) -> None:
    assert states(keywright) == {1: "archived", 2: "active"}
    assert done(keywright, "key", "rotate", *ACME).startswith(
        "Master key 3 is active, 2 is archived."
    )
    rotated = keywright.json("key", "rotate", *ACME, "--reencrypt")
    assert (rotated["number"], rotated["former"], rotated["rotated"]) == (4, 3, True)
    job = keywright.json("job", "show", str(rotated["reencryption_job"]))
    assert (job["kind"], job["organization"]) == ("reencryption.start", "Acme")


def test_a_key_shows_its_whole_life(keywright: Keywright) -> None:
    done(keywright, "key", "suspend", "1", *ACME, "--reason", "who has read this?")
    shown = keywright.json("key", "show", "1", *ACME)
    assert [move["to_state"] for move in shown["history"]] == [
        *("pre_active", "active", "archived", "suspended")
    ]
    assert shown["history"][-2]["actor"] == ACTOR
    assert shown["history"][-1]["actor"] == f"cli:{getpass.getuser()}"
    assert shown["history"][-1]["reason"] == "who has read this?"
    assert len(shown["check_value"]) == 10
    table = done(keywright, "key", "list")
    screen = done(keywright, "key", "show", "1", *ACME)
    for said in (shown["check_value"], shown["root_keys"][0], "suspended"):
        assert said in table
        assert said in screen
    assert "who has read this?" in screen


def test_a_key_goes_and_comes_back_with_a_passphrase(
    keywright: Keywright, custody: Custody, passphrase_file: str, tmp_path: Path
) -> None:
    export = str(tmp_path / "acme-1.txt")
    with_passphrase = ("--passphrase-file", passphrase_file)
    said = done(keywright, "key", "export", "1", *ACME, "--output", export, *with_passphrase)
    assert export in said
    assert Path(export).stat().st_mode & 0o777 == 0o600
    assert "not overwritten" in refused(
        keywright, "key", "export", "1", *ACME, "--output", export, *with_passphrase
    )
    assert "only one that was destroyed" in refused(
        keywright, "key", "import", "1", export, *ACME, *with_passphrase
    )
    assert "of master key 1, not 2" in refused(
        keywright, "key", "import", "2", export, *ACME, *with_passphrase
    )
    custody.move(1, State.DESTROYED)
    wrong = secret_file(tmp_path / "wrong", b"another passphrase")
    assert "The passphrase is wrong, or" in refused(
        keywright, "key", "import", "1", export, *ACME, "--passphrase-file", wrong
    )
    said = done(keywright, "key", "import", "1", export, *ACME, *with_passphrase)
    assert said == "Master key 1 is archived again.\n"
    assert states(keywright)[1] == "archived"


def test_a_key_goes_and_comes_back_with_a_certificate(
    keywright: Keywright, custody: Custody, tmp_path: Path
) -> None:
    key, certificate, export = (tmp_path / name for name in ("key.pem", "cert.pem", "1.txt"))
    request = ("openssl", "req", "-x509", "-newkey", "rsa:3072", "-noenc", "-subj", "/CN=Custodian")
    files = ("-keyout", str(key), "-out", str(certificate))
    subprocess.run([*request, *files], check=True, capture_output=True)
    exported = keywright.json(
        *("key", "export", "1", *ACME, "--output", str(export), "--certificate", str(certificate))
    )
    assert exported["file"] == str(export)
    assert exported["protection"].startswith("certificate ")
    assert "Protection: certificate" in export.read_text()
    custody.move(1, State.DESTROYED)
    assert "--private-key-file" in refused(keywright, "key", "import", "1", str(export), *ACME)
    opened = ("--private-key-file", str(key))
    imported = keywright.json("key", "import", "1", str(export), *ACME, *opened)
    assert imported == {"number": 1, "quarantined": 0, "retry_job_id": None}


def test_an_active_key_is_not_exported(keywright: Keywright, passphrase_file: str) -> None:
    said = refused(keywright, "key", "export", "2", *ACME, "--passphrase-file", passphrase_file)
    assert "rotate first" in said


def test_a_person_is_asked_for_the_passphrase_twice_and_does_not_see_it(
    keywright: Keywright, custody: Custody, tmp_path: Path
) -> None:
    export = tmp_path / "1.txt"
    command = ("key", "export", "1", *ACME, "--output", str(export))
    asked = [("Passphrase: ", PASSPHRASE), ("Repeat for confirmation: ", PASSPHRASE)]
    code, screen = at_a_terminal(keywright, *command, typing=asked)
    assert code == 0, screen
    assert PASSPHRASE not in screen
    custody.move(1, State.DESTROYED)
    back = ("key", "import", "1", str(export), *ACME)
    code, screen = at_a_terminal(keywright, *back, typing=asked[:1])
    assert (code, "archived again" in screen, PASSPHRASE in screen) == (0, True, False), screen


def test_without_a_terminal_nobody_is_asked(keywright: Keywright) -> None:
    assert "--passphrase-file" in refused(keywright, "key", "export", "1", *ACME)


def test_a_passphrase_that_others_may_read_is_none(keywright: Keywright, tmp_path: Path) -> None:
    path = secret_file(tmp_path / "open", PASSPHRASE.encode())
    Path(path).chmod(0o644)
    said = refused(keywright, "key", "export", "1", *ACME, "--passphrase-file", path)
    assert "chmod 600" in said


def test_a_secret_of_the_organization_becomes_its_key(keywright: Keywright, tmp_path: Path) -> None:
    secret = os.urandom(32)
    path = secret_file(tmp_path / "secret.bin", secret)
    announced = b64encode(sha256(secret).digest()).decode()
    upload = ("key", "upload", *ACME, "--from-file", path)
    assert "not that of the secret" in refused(
        keywright, *upload, "--hash", b64encode(sha256(b"").digest()).decode()
    )
    said = done(keywright, *upload, "--hash", announced)
    assert "Master key 3 is active, 2 is archived." in said
    assert "was a master key before" in refused(keywright, *upload, "--hash", announced)
    [_, _, row] = keywright.json("key", "list", *ACME)
    assert (row["state"], row["origin"]) == ("active", "uploaded")


def test_a_key_is_suspended_reinstated_and_compromised(keywright: Keywright) -> None:
    done(keywright, "key", "suspend", "1", *ACME)
    assert states(keywright)[1] == "suspended"
    done(keywright, "key", "reinstate", "1", *ACME)
    assert states(keywright)[1] == "archived"
    assert "cannot become" in refused(keywright, "key", "reinstate", "1", *ACME)
    done(keywright, "key", "compromise", "2", *ACME, "--reason", "a laptop was stolen")
    assert states(keywright) == {1: "archived", 2: "compromised", 3: "active"}


def test_a_key_that_something_needs_is_not_to_be_destroyed(
    keywright: Keywright, custody: Custody
) -> None:
    custody.connection.execute(
        "INSERT INTO keywright.reencryption_run"
        " (organization_id, purpose, field_ids, target_number, options, requested_by)"
        " VALUES (%s, 'reencrypt', ARRAY[gen_random_uuid()], 2, '{}', 'test')",
        [custody.organization_id],
    )
    said = refused(keywright, "key", "destroy", "1", *ACME, "--yes")
    assert "is needed by re-encryption run 1, which is not finished" in said
    assert keywright.json("key", "show", "1", *ACME)["destroy_at"] is None


def test_a_policy_is_set_seen_and_removed(keywright: Keywright) -> None:
    assert keywright.json("key", "policy", "list") == []
    assert "every 365 days" in done(keywright, "key", "policy", "set", *ACME, "--every-days", "365")
    [policy] = keywright.json("key", "policy", "list", *ACME)
    assert (policy["every_days"], policy["reencrypt"], policy["active_number"]) == (365, True, 2)
    done(keywright, "key", "policy", "remove", *ACME)
    assert "nothing to remove" in refused(keywright, "key", "policy", "remove", *ACME)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("show", "9", *ACME), "There is no master key 9"),
        (("show", "1", "-o", "Nobody"), "There is no organization named “Nobody”"),
        (("suspend", "2", *ACME), "cannot become suspended"),
        (("import", "1", "/nowhere", *ACME), "Cannot read /nowhere"),
        (("import", "1", "/etc/hostname", *ACME), "no whole keywright export"),
        (("import", "1", "/bin/ls", *ACME), "no keywright export"),
        (("export", "1", *ACME, "--certificate", "/etc/hostname"), "no X.509 certificate"),
        (("upload", *ACME, "--from-file", "/nowhere", "--hash", ""), "--from-file: there is no"),
        (("retire-root-key", "file:0000"), "Nothing is wrapped under file:0000"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    keywright: Keywright, command: tuple[str, ...], says: str
) -> None:
    assert says in refused(keywright, "key", *command)


def test_no_secret_is_ever_said(
    keywright: Keywright, custody: Custody, passphrase_file: str, tmp_path: Path
) -> None:
    material = custody.cleartext(1).reveal()
    export = str(tmp_path / "1.txt")
    secrets = (material.hex(), b64encode(material).decode(), PASSPHRASE)
    with_passphrase = ("--passphrase-file", passphrase_file)
    for command in (
        ("key", "export", "1", *ACME, "--output", export, *with_passphrase, "--json"),
        ("key", "import", "1", export, *ACME, *with_passphrase),
        ("key", "list", "--json"),
        ("key", "show", "1", *ACME, "--json"),
        ("key", "export", "1", *ACME, "--passphrase", PASSPHRASE),  # there is no such option
    ):
        ran = keywright.run(*command)
        said = ran.stdout + ran.stderr
        assert [secret for secret in secrets if secret in said] == []
    rows = custody.connection.execute("SELECT to_jsonb(a)::text FROM keywright.announcement a")
    written = " ".join(row[0] for row in rows) + Path(export).read_text()
    assert [secret for secret in secrets if secret in written] == []


def test_without_a_root_key_nothing_is_pretended(tmp_path: Path) -> None:
    keywright = Keywright(tmp_path / "data", {"KEYWRIGHT_ROOT_KEY": "secret-itself"})
    said = refused(keywright, "key", "rotate", *ACME)
    assert "KEYWRIGHT_ROOT_KEY" in said
    assert "secret-itself" not in said
