"""``keywright seal`` and ``keywright sealing-key``, as people and scripts use them."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.acceptance.keywright_command import (
    ROOT,
    Keywright,
    done,
    keywright_of_acme,
    refused,
)
from tests.acceptance.terminal import at_a_terminal
from tests.servers.postgres import PostgresServer
from workers.contract.secrets import purpose_of
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.file import FileRootKey
from workers.keys.sealing import SUITE, decode
from workers.keys.sealing_keys import load_private_key

SECRET = "Marker-91c4 of a person"
PLACE = ("seal", "keystore.export", "password")


@pytest.fixture
def keywright(postgres: PostgresServer, tmp_path: Path) -> Iterator[Keywright]:
    """The command, on a database with Acme."""
    with keywright_of_acme(postgres, tmp_path) as keywright:
        yield keywright


@pytest.fixture
def secret_file(tmp_path: Path) -> str:
    """A file with the secret that nobody else may read."""
    file = tmp_path / "secret"
    file.touch(mode=0o600)
    file.write_text(f"{SECRET}\nnot this\n", encoding="utf-8")
    return str(file)


def opened(
    keywright: Keywright, folder: Path, sealed: str, *, kind: str = "keystore.export"
) -> str:
    """Open what was sealed for the password of Acme."""
    key_id, text = sealed.strip().removeprefix("sealed:v1:").split(":")
    root_keys = RootKeys(FileRootKey(folder / "root.key"))
    with psycopg.connect(keywright.settings["KEYWRIGHT_DATABASE_URL"]) as connection:
        key = load_private_key(connection, root_keys, key_id)
    assert key is not None
    private_key = X25519PrivateKey.from_private_bytes(key.reveal())
    return SUITE.decrypt(decode(text), private_key, purpose_of("Acme", kind, "password")).decode()


def test_the_first_that_is_sealed_makes_the_key(
    keywright: Keywright, secret_file: str, tmp_path: Path
) -> None:
    assert "There is none yet" in done(keywright, "sealing-key", "list")
    sealed = done(keywright, *PLACE, "-o", "Acme", "--secret-file", secret_file)
    assert opened(keywright, tmp_path, sealed) == SECRET
    shown = keywright.json("sealing-key", "show")
    assert sealed.split(":")[2] == shown["sealing_key_id"]
    assert shown["suite"] == "DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM"
    assert re.fullmatch("[A-Za-z0-9_-]{43}", shown["public_key"])


def test_an_organization_is_sealed_for_in_its_own_case(
    keywright: Keywright, secret_file: str, tmp_path: Path
) -> None:
    sealed = keywright.json(*PLACE, "-o", "aCME", "--secret-file", secret_file)["sealed"]
    assert opened(keywright, tmp_path, sealed) == SECRET
    assert "no organization named" in refused(
        keywright, *PLACE, "-o", "Acne", "--secret-file", secret_file
    )


def test_the_published_key_is_enough_where_there_is_no_database(
    keywright: Keywright, secret_file: str, tmp_path: Path
) -> None:
    published = tmp_path / "sealing-key.json"
    published.write_text(done(keywright, "sealing-key", "rotate", "--json"))
    away = Keywright(
        tmp_path / "elsewhere", {"KEYWRIGHT_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    )
    offline = ("-o", "Acme", "--secret-file", secret_file, "--public-key", str(published))
    assert opened(keywright, tmp_path, done(away, *PLACE, *offline)) == SECRET
    assert not away.data_dir.exists()


def test_a_secret_is_read_from_standard_input(keywright: Keywright, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "workers.cli", *PLACE, "-o", "Acme", "--secret-file", "-"],
        input=f"{SECRET}\r\nnot this\n",
        env=keywright.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert opened(keywright, tmp_path, ran.stdout) == SECRET


def test_a_person_types_it_twice_and_does_not_see_it(keywright: Keywright, tmp_path: Path) -> None:
    asked = [("Password: ", SECRET), ("Repeat for confirmation: ", SECRET)]
    code, screen = at_a_terminal(keywright, *PLACE, "-o", "Acme", typing=asked)
    assert code == 0, screen
    assert SECRET not in screen
    [sealed] = re.findall(r"sealed:v1:\S+", screen)
    assert opened(keywright, tmp_path, sealed) == SECRET


def test_without_a_terminal_and_a_file_nobody_is_asked(keywright: Keywright) -> None:
    assert "--secret-file" in refused(keywright, *PLACE, "-o", "Acme")


@pytest.mark.parametrize(
    "place",
    [
        ("keystore.export", "format"),  # an argument, and no secret
        ("keystore.import", "passwort"),
        ("expiry.scan", "password"),
        ("no.such", "password"),
    ],
    ids="-".join,
)
def test_only_arguments_that_are_secrets_are_sealed_for(
    keywright: Keywright, secret_file: str, place: tuple[str, str]
) -> None:
    said = refused(keywright, "seal", *place, "-o", "Acme", "--secret-file", secret_file)
    assert "keystore.import password or key_password" in said


def test_a_secret_file_that_others_may_read_is_refused(
    keywright: Keywright, secret_file: str
) -> None:
    Path(secret_file).chmod(0o644)
    said = refused(keywright, *PLACE, "-o", "Acme", "--secret-file", secret_file)
    assert "chmod 600" in said
    assert SECRET not in said


def test_rotation_lists_the_key_before_until_it_opens_no_more(keywright: Keywright) -> None:
    first = keywright.json("sealing-key", "rotate")["sealing_key_id"]
    second = keywright.json("sealing-key", "rotate", "--overlap-days", "0")["sealing_key_id"]
    listed = keywright.json("sealing-key", "list")
    assert [each["sealing_key_id"] for each in listed] == [second, first]
    assert [each["opens_until"] is None for each in listed] == [True, False]
    assert keywright.json("sealing-key", "show")["sealing_key_id"] == second
    assert second in done(keywright, "sealing-key", "show")
    assert first in done(keywright, "sealing-key", "list")


def test_the_query_of_the_page_gives_a_requester_the_same_key(
    keywright: Keywright, postgres: PostgresServer
) -> None:
    shown = keywright.json("sealing-key", "rotate")
    page = (ROOT / "docs" / "how-to" / "seal-a-secret.md").read_text(encoding="utf-8")
    [query] = re.findall(r"^```sql\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    with (
        postgres.login(
            keywright.settings["KEYWRIGHT_DATABASE_URL"], "keywright_requester"
        ) as login,
        psycopg.connect(login) as requester,
    ):
        row = requester.execute(query).fetchone()
    assert row is not None
    assert row[0] == shown


def test_the_lines_of_the_page_on_a_lost_key_run(keywright: Keywright) -> None:
    page = (ROOT / "docs" / "how-to" / "seal-a-secret.md").read_text(encoding="utf-8")
    lines = re.findall(r"^keywright (sealing-key (?:rotate --over|list).*)$", page, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        done(keywright, *line.split())


def test_a_password_in_the_clear_is_refused_and_not_repeated(keywright: Keywright) -> None:
    said = refused(
        keywright, "enqueue", "keystore.export", "-o", "Acme", "-a", f"password={SECRET}"
    )
    assert "password" in said
    assert SECRET not in said
    assert keywright.json("job", "list") == []
