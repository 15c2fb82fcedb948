"""Keystores that come and go, with ``keywright keystore``, ``artifact`` and ``secret``."""

import getpass
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.acceptance.keywright_command import Keywright, done, refused
from tests.integration.certificates.issuance.workshop import certificate_tools
from tests.integration.certificates.keystore_jobs.office import (
    PASSWORD,
    Office,
    issue,
    office,
)
from tests.integration.jobs.workbench import Workbench
from workers.certificates.keystore_jobs import export_keystore
from workers.contract import ExportKeystore
from workers.database.pool import Connection, Pool, open_pool

ACME = ("-o", "Acme")


@pytest.fixture
def pool(conninfo: str) -> Iterator[Pool]:
    """The connections of this process."""
    with open_pool(conninfo, size=4, name="test") as pool:
        yield pool


@pytest.fixture
def acme(connection: Connection, pool: Pool, tmp_path: Path) -> Office:
    """An organization with an exportable key and one that is not, and another beside it."""
    acme = office(connection, certificate_tools(pool, tmp_path))
    acme.keep("SamlSigning", issue("saml", by=issue("A root")))
    acme.keep("kept_back", issue("kept back"), exportable=False)
    office(connection, acme.tools, "Other")
    return acme


@pytest.fixture
def keywright(acme: Office, tmp_path: Path) -> Keywright:
    """The command, on that database and root key."""
    return Keywright.on(acme.connection.info.dsn, tmp_path, root_key=tmp_path / "root.key")


@pytest.fixture
def password(tmp_path: Path) -> tuple[str, str]:
    """The option with a file whose first line is the password."""
    return ("--password-file", secret_file(tmp_path / "password", f"{PASSWORD}\nno more"))


def secret_file(path: Path, content: str) -> str:
    path.touch(mode=0o600)
    path.write_text(content)
    return str(path)


def test_a_keystore_is_exported_inspected_and_imported_elsewhere(
    keywright: Keywright, acme: Office, password: tuple[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "acme.jks"
    export = ("keystore", "export", *ACME, "--output", str(file), "--format", "jks", *password)
    said = done(keywright, *export)
    assert "holds 2 certificates, 1 with private keys." in said
    assert "Not exportable, so without their keys: kept_back." in said
    assert file.stat().st_mode & 0o777 == 0o600
    assert "not overwritten" in refused(keywright, *export)
    listed = subprocess.run(
        ["keytool", "-list", "-keystore", file, "-storepass", PASSWORD],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "samlsigning, " in listed
    assert listed.count("PrivateKeyEntry") == 1
    assert listed.count("trustedCertEntry") == 1

    # Nothing stands against it, as long as nobody asks whether its names are taken.
    said = done(keywright, "keystore", "inspect", str(file), *password)
    assert "Nothing stands against importing 1 certificate" in said
    said = done(keywright, "keystore", "import", str(file), *ACME, *password, code=1)
    assert "“samlsigning” is there already" in said
    assert "Nothing was imported: 1 fault." in said
    assert "--name alias=unique_name" in said
    imported = keywright.json("keystore", "import", str(file), "-o", "Other", *password)
    assert (imported["imported"], imported["faults"]) == (True, [])
    assert imported["left_out"] == ["kept_back"]
    rename = ("--name", "samlsigning=saml_2", "--not-exportable")
    done(keywright, "keystore", "import", str(file), *ACME, *password, *rename)
    keys = acme.private_keys()
    assert keys["saml_2"] == keys["SamlSigning"]
    assert acme.certificates()["saml_2"][1] is False
    announced = acme.connection.execute(
        "SELECT kind, data ->> 'requested_by' FROM keywright.announcement WHERE kind ~ '^keystore'"
        " ORDER BY announcement_id"
    ).fetchall()
    me = f"cli:{getpass.getuser()}"
    assert announced == [("keystore.exported", me), *[("keystore.imported", me)] * 2]


def test_what_is_wrong_is_said_in_one_line_and_nothing_is_changed(
    keywright: Keywright, acme: Office, password: tuple[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "acme.p12"
    short = ("--password-file", secret_file(tmp_path / "short", "seven77"))
    export = ("keystore", "export", *ACME, "--output", str(file))
    assert "password: 8 to" in refused(keywright, *export, *short)
    assert "nobody to ask" in refused(keywright, *export)
    assert not file.exists()
    done(keywright, *export, *password)
    wrong = ("--password-file", secret_file(tmp_path / "wrong", "another password"))
    said = refused(keywright, "keystore", "import", str(file), "-o", "Other", *wrong)
    assert "password" in said
    assert "another password" not in said
    strict = keywright.run("keystore", "inspect", str(file), "--strict", "--json", *password)
    assert strict.returncode == 1
    assert '"code": "format"' in strict.stdout
    assert '"code": "not-rsa"' in strict.stdout
    assert len(acme.certificates()) == 2


def test_another_system_hands_a_password_over_has_a_keystore_made_and_fetches_it(
    keywright: Keywright, acme: Office, pool: Pool, password: tuple[str, str], tmp_path: Path
) -> None:
    secret_id = done(keywright, "secret", "add", *ACME, *password).strip()
    member = acme.member("ada")
    arguments = ("-a", f"requested_by=member:{member}", "-a", f"password={secret_id}")
    asked = keywright.json("enqueue", "keystore.export", *ACME, *arguments)
    bench = Workbench(pool, pool)
    handle = partial(export_keystore, tools=acme.tools)
    request = ExportKeystore(requested_by="member:1")
    job = bench.execute(handle, request, job_id=asked["job_id"])
    bench.keeper.stop()
    assert job.result is not None
    artifact_id = job.result["artifact"]

    fetch = ("artifact", "fetch", artifact_id, *ACME, "--output")
    mine, file = tmp_path / "mine.p12", tmp_path / "ada.p12"
    said = refused(keywright, *fetch, str(mine), "--as", "nobody@example.org")
    assert "There is no artifact" in said
    assert not mine.exists()
    email = f"ada-{acme.organization_id}@example.org"
    done(keywright, *fetch, str(file), "--as", email)
    assert file.stat().st_mode & 0o777 == 0o600
    handed_in = done(keywright, "artifact", "add", str(file), *ACME).strip()
    rows = {row["artifact_id"]: row for row in keywright.json("artifact", "list", *ACME)}
    assert set(rows) == {artifact_id, handed_in}
    assert (rows[artifact_id]["fetches"], rows[artifact_id]["refusals"]) == (1, 1)
    assert rows[handed_in]["purpose"] == "keystore_import"
    shown = done(keywright, "artifact", "show", artifact_id, *ACME)
    assert rows[artifact_id]["sha256"] in shown
    assert f"member:{member}" in shown
    assert "is gone" in done(keywright, "artifact", "delete", artifact_id, *ACME)
    assert acme.one("SELECT count(*) FROM keywright.artifact WHERE content IS NULL") == 1
