"""Bulk runs from their beginning to their report, with workers that do the work."""

from pathlib import Path

import psycopg
import pytest

from tests.acceptance.keywright_command import Keywright, url_of
from tests.acceptance.reencryption_desk import (
    ACME,
    CARD,
    ROWS,
    a_worker,
    done,
    make_customers,
    open_desk,
    prefixes,
    refused,
    show,
    start,
)
from tests.acceptance.terminal import at_a_terminal
from tests.integration.keys.custody import Custody
from tests.servers.postgres import PostgresServer
from workers.database.pool import Connection


@pytest.fixture
def custody(connection: Connection, tmp_path: Path) -> Custody:
    """An organization whose key 1 is archived and whose key 2 is active."""
    return Custody.of(connection, tmp_path)


@pytest.fixture
def keywright(custody: Custody, conninfo: str, tmp_path: Path) -> Keywright:
    """The command, on that organization's database and root key, and its customers in plaintext."""
    return open_desk(custody, conninfo, tmp_path)


def test_a_table_is_encrypted_follows_a_new_key_and_is_decrypted(
    keywright: Keywright, custody: Custody
) -> None:
    connection = custody.connection
    with a_worker(keywright):
        said = start(keywright, "--encrypt", *CARD, "--watch")
        assert "Run 1 of Acme is to encrypt under master key 2: customer.card." in said
        assert said.rstrip().endswith("\ncompleted")
        assert list(prefixes(connection).values()) == [ROWS]
        done(keywright, "key", "rotate", *ACME)
        watched = keywright.json("reencryption", "start", *ACME, "--watch")
        assert (watched["state"], watched["target_number"]) == ("completed", 3)
        report = watched["report"]
        [card] = [c for c in report["census_after"] if c["field_name"] == "customer.card"]
        assert (card["by_key"], card["plaintext"]) == ({"3": ROWS}, 0)
        assert (report["rewritten"], report["verified"], report["passes"]) == (ROWS, ROWS, 1)
        assert keywright.json("reencryption", "report", "2") == report
        table = done(keywright, "reencryption", "report", "2")
        for word in ("3 (target)", "HOT", "Heap growth", "WAL", "Conflicts", "predicted"):
            assert word in table
        assert table.rstrip().endswith("\ncompleted")
        said = done(keywright, "reencryption", "verify", *ACME)
        assert f"Every one of {ROWS:,} values opens." in said
        assert show(keywright, 2)["progress"]["done"] == ROWS
        start(keywright, "--decrypt", *CARD, "--watch")
    assert prefixes(connection) == {}
    runs = keywright.json("reencryption", "list", *ACME)
    assert [(run["run_id"], run["purpose"], run["state"]) for run in runs] == [
        (3, "decrypt", "completed"),
        (2, "reencrypt", "completed"),
        (1, "encrypt", "completed"),
    ]
    assert runs[1]["fields"] == [
        "artifact.content",
        "certificate.private_key",
        "customer.card",
        "handed_secret.value",
        "webhook_secret.value",
    ]
    assert "reencrypt" in done(keywright, "reencryption", "list")


def test_what_does_not_open_is_left_counted_and_listed(
    keywright: Keywright, custody: Custody
) -> None:
    connection = custody.connection
    with a_worker(keywright):
        start(keywright, "--encrypt", *CARD, "--watch")
        connection.execute("UPDATE customer SET card = 'plain' WHERE id = 7")
        connection.execute(
            "UPDATE customer SET card = (SELECT card FROM customer WHERE id = 9) WHERE id = 8"
        )
        assert "plaintext found" in start(keywright, "--dry-run")
        done(keywright, "key", "rotate", *ACME)
        said = start(keywright, "--watch")
    assert said.rstrip().endswith("\ncompleted with 2 quarantined")
    rows = keywright.json("reencryption", "quarantine", *ACME)
    assert [(row["row_key"], row["fault_class"], row["key_number"]) for row in rows] == [
        (["7"], "plaintext_found", None),
        (["8"], "moved_row", 2),
    ]
    listed = done(keywright, "reencryption", "quarantine", *ACME)
    for word in ("moved row", "it was copied from elsewhere", "--encrypt --field NAME"):
        assert word in listed
    ran = keywright.run("reencryption", "verify", "2")
    assert ran.returncode == 1
    # Its original was rewritten, so that it was copied cannot be seen any more.
    assert "1 plaintext found, 1 tag mismatch" in ran.stdout
    assert "needed by" in refused(keywright, "key", "destroy", "2", *ACME)


def test_a_terminal_has_a_bar_and_anything_else_lines(keywright: Keywright) -> None:
    at_xterm = Keywright(keywright.data_dir, {**keywright.settings, "TERM": "xterm"})
    with a_worker(keywright):
        watched = ("reencryption", "start", *ACME, "--encrypt", *CARD, "--watch")
        code, screen = at_a_terminal(at_xterm, *watched, typing=[])
        assert (code, "━━━━" in screen, "\x1b[2K" in screen) == (0, True, True), screen
        assert f"{ROWS:,} of {ROWS:,} rows (100%)" in screen
        done(keywright, "key", "rotate", *ACME)
        said = start(keywright, "--watch")
    assert "run 2 waits for writers and counts: no plan yet" in said
    assert "━━━━ " not in said
    assert "\x1b" not in said


def test_a_field_in_another_database_is_encrypted_as_well(
    keywright: Keywright, custody: Custody, postgres: PostgresServer
) -> None:
    with (
        postgres.database(schema=False) as conninfo,
        psycopg.connect(conninfo, autocommit=True) as shop,
    ):
        make_customers(shop)
        there = Keywright(
            keywright.data_dir,
            {**keywright.settings, "KEYWRIGHT_CONNECTION_SHOP": url_of(conninfo)},
        )
        register = ("field", "register", "shop.card", "--connection", "shop", *ACME)
        done(there, *register, "--table", "customer", "--column", "card")
        with a_worker(there):
            start(there, "--encrypt", "--field", "shop.card", "--watch")
        assert list(prefixes(shop).values()) == [ROWS]
        done(there, "reencryption", "verify", "1")
    assert prefixes(custody.connection) == {}
    assert "KEYWRIGHT_CONNECTION_SHOP" in refused(keywright, "reencryption", "verify", "1")
    assert "Cannot connect to “shop”" in refused(there, "reencryption", "verify", "1")
