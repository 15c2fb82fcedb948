"""``keywright field``, as an operator uses it."""

import shutil
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.acceptance.keywright_command import Keywright
from tests.servers.postgres import PostgresServer
from workers.database.pool import Connection


@pytest.fixture
def keywright(conninfo: str, connection: Connection, tmp_path: Path) -> Keywright:
    """The command on a database with an organization and a table."""
    connection.execute(
        "CREATE TABLE public.customer (id bigint PRIMARY KEY, card bytea, name text DEFAULT '?')"
    )
    root_key = tmp_path / "root.key"
    root_key.write_text(ROOT_KEY + "\n")
    root_key.chmod(0o600)
    keywright = Keywright.on(conninfo, tmp_path, root_key=root_key)
    assert keywright.run("organization", "add", "Acme").returncode == 0
    return keywright


ROOT_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OURS = [
    "artifact.content",
    "certificate.private_key",
    "handed_secret.value",
    "webhook_secret.value",
]
CARD = ("customer.card", "--table", "public.customer", "--column", "card")


def field_names(keywright: Keywright) -> list[str]:
    return [field["field_name"] for field in keywright.json("field", "list")]


def test_a_field_is_registered_shown_checked_and_unregistered(
    keywright: Keywright, connection: Connection
) -> None:
    done = keywright.run("field", "register", *CARD, "-o", "acme", "--mask", "credit_card")
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "customer.card is public.customer.card, plaintext: nothing is encrypted yet" in done.stdout
    )
    assert "was never analysed" in done.stdout
    connection.execute("ALTER TABLE public.customer SET (fillfactor = 90); ANALYZE public.customer")

    again: Any = keywright.json("field", "register", *CARD, "-o", "acme", "--mask", "credit_card")
    assert (again["field"]["state"], again["warnings"]) == ("plaintext", [])
    [key] = keywright.json("key", "list", "-o", "Acme")
    assert (key["number"], key["state"]) == (1, "active")

    assert field_names(keywright) == [*OURS[:2], "customer.card", *OURS[2:]]
    shown = keywright.json("field", "show", "customer.card")
    assert shown["field"]["field_id"] == again["field"]["field_id"]
    assert shown["faults"] == []
    assert "row key       id bigint" in keywright.run("field", "show", "customer.card").stdout

    assert keywright.run("field", "check").returncode == 0
    connection.execute("CREATE INDEX by_card ON public.customer (card)")
    checked = keywright.run("field", "check", "customer.card")
    assert (checked.returncode, "DROP INDEX" in checked.stdout) == (1, True)

    assert keywright.run("field", "unregister", "customer.card").returncode == 0
    assert field_names(keywright) == OURS


def test_undeclared_ciphertext_is_reported(keywright: Keywright, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO public.customer VALUES (1, '\\x930100000001' || repeat('a', 28)::bytea)"
    )
    done = keywright.run("field", "check")
    assert done.returncode == 1
    assert "public.customer.card holds ciphertext and is no registered field" in done.stdout


def test_a_field_of_another_database_is_found_by_its_name(
    keywright: Keywright, postgres: PostgresServer
) -> None:
    with postgres.database(schema=False) as other:
        with psycopg.connect(other, autocommit=True) as billing:
            billing.execute("CREATE TABLE note (id uuid PRIMARY KEY, tenant_id int, body text)")
        fields = psycopg.conninfo.conninfo_to_dict(other)
        url = f"postgresql://{fields['user']}@/{fields['dbname']}?host={fields['host']}"
        elsewhere = Keywright(
            keywright.data_dir,
            {**keywright.settings, "KEYWRIGHT_CONNECTION_BILLING": f"{url}&port={fields['port']}"},
        )
        place = ("--table", "note", "--column", "body", "--connection", "billing")
        tenant = ("--organization-column", "tenant_id")
        assert elsewhere.run("field", "register", "note.body", *place, *tenant).returncode == 0
        [field] = [
            field for field in elsewhere.json("field", "list") if field["field_name"] == "note.body"
        ]
        assert field["place"] == "billing: public.note.body"
        assert field["organization"] == "by column tenant_id"
        # Where the connection is not configured, the check says so and looks at the others.
        checked = keywright.run("field", "check")
        assert checked.returncode == 1
        assert "KEYWRIGHT_CONNECTION_BILLING" in checked.stdout
        assert "certificate.private_key" in checked.stdout


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("register", *CARD), "--organization-column"),
        (("register", *CARD, "-o", "Nobody"), "no organization named “Nobody”"),
        (
            ("register", "name", "--table", "customer", "--column", "name", "-o", "Acme"),
            "DROP DEFAULT",
        ),
        (
            ("register", "x", "--table", "nowhere.x", "--column", "y", "-o", "Acme"),
            "There is no table nowhere.x",
        ),
        (
            ("register", *CARD, "-o", "Acme", "--connection", "crm"),
            "KEYWRIGHT_CONNECTION_CRM",
        ),
        (("show", "nothing"), "no encrypted field named “nothing”"),
        (("check", "nothing"), "no encrypted field named “nothing”"),
        (("unregister", "nothing"), "no encrypted field named “nothing”"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(keywright: Keywright, command: tuple[str, ...], says: str) -> None:
    done = keywright.run("field", *command)
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.startswith("keywright: ")
    assert "Traceback" not in done.stderr


def test_without_a_root_key_nothing_is_registered_as_encrypted(keywright: Keywright) -> None:
    settings = {k: v for k, v in keywright.settings.items() if k != "KEYWRIGHT_ROOT_KEY"}
    done = Keywright(keywright.data_dir, settings).run("field", "register", *CARD, "-o", "Acme")
    assert (done.returncode, "KEYWRIGHT_ROOT_KEY is not set" in done.stderr) == (1, True)
    assert field_names(keywright) == OURS


def test_the_embedded_default_needs_no_setting(tmp_path: Path) -> None:
    keywright = Keywright(tmp_path / "data")
    try:
        assert field_names(keywright) == OURS
        assert keywright.run("field", "check").returncode == 0
    finally:
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
