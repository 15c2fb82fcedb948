"""Bulk runs as an operator plans, refuses and steers them."""

from hashlib import sha256
from pathlib import Path

import pytest

from tests.acceptance.keywright_command import Keywright
from tests.acceptance.reencryption_desk import (
    ACME,
    CARD,
    ROWS,
    a_worker,
    done,
    open_desk,
    prefixes,
    refused,
    show,
    start,
)
from tests.acceptance.terminal import at_a_terminal
from tests.integration.keys.custody import Custody
from tests.servers.waiting import until
from workers.database.pool import Connection


@pytest.fixture
def custody(connection: Connection, tmp_path: Path) -> Custody:
    """An organization whose key 1 is archived and whose key 2 is active."""
    return Custody.of(connection, tmp_path)


@pytest.fixture
def keywright(custody: Custody, conninfo: str, tmp_path: Path) -> Keywright:
    """The command, on that organization's database and root key, and its customers in plaintext."""
    return open_desk(custody, conninfo, tmp_path)


def contents(connection: Connection) -> dict[str, str]:
    """Return a hash of every table, with the place and the writer of each row, and all counters."""
    tables = connection.execute(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
        " WHERE schemaname IN ('keywright', 'public')"
    ).fetchall()
    found = {}
    for [table] in tables:
        rows = connection.execute(f"SELECT t::text, xmin, ctid FROM {table} AS t ORDER BY ctid")
        found[table] = sha256(repr(rows.fetchall()).encode()).hexdigest()
    for name, value in connection.execute("SELECT sequencename, last_value FROM pg_sequences"):
        found[name] = str(value)
    return found


@pytest.mark.parametrize("purpose", ["--encrypt", "--decrypt", None])
def test_a_dry_run_predicts_and_writes_nothing(
    keywright: Keywright, custody: Custody, purpose: str | None
) -> None:
    if purpose != "--encrypt":
        with a_worker(keywright):
            start(keywright, "--encrypt", *CARD, "--watch")
    # Whatever the tests' own set-up has left for the server to tidy up.
    custody.connection.execute("VACUUM")
    options = (purpose, *CARD) if purpose else CARD
    before = contents(custody.connection)
    said = start(keywright, *options, "--dry-run")
    found = keywright.json("reencryption", "start", *ACME, *options, "--dry-run")
    assert contents(custody.connection) == before
    assert not keywright.data_dir.exists()
    assert "Nothing was written" in said
    [table] = found["plan"]["tables"]
    assert table["due_rows"] == (0 if purpose is None else ROWS)
    assert found["sampled"] == {"customer.card": 1_000}
    assert found["quarantined"] == {}


def test_a_second_run_is_refused_and_the_first_can_be_steered(
    keywright: Keywright, custody: Custody
) -> None:
    begun = keywright.json(
        *("reencryption", "start", *ACME, "--encrypt", *CARD, "--workers", "3", "--wal-limit", "2")
    )
    assert (begun["run_id"], begun["state"], begun["progress"]["total"]) == (1, "starting", None)
    assert begun["options"]["workers"] == 3
    assert begun["options"]["limits"]["wal_bytes_per_second"] == 2 * 2**20
    assert "Run 1 of this organization is not finished" in refused(
        keywright, "reencryption", "start", *ACME, "--encrypt", *CARD
    )
    assert "only a completed run has a report" in refused(keywright, "reencryption", "report", "1")
    done(keywright, "reencryption", "pause", "1", "--reason", "until the backup is through")
    assert "paused already" in refused(keywright, "reencryption", "pause", "1")
    screen = done(keywright, "reencryption", "show", "1")
    for said in ("paused", "until the backup is through", "`keywright reencryption resume 1`"):
        assert said in screen
    assert "run 1 of Acme is paused: until the backup" in keywright.run("status").stdout
    done(keywright, "reencryption", "resume", "1")
    assert show(keywright)["state"] == "starting"
    assert "add --yes" in refused(keywright, "reencryption", "cancel", "1")
    cancel = ("reencryption", "cancel", "1")
    code, screen = at_a_terminal(keywright, *cancel, typing=[("End it?", "n")])
    assert (code, "Nothing was changed" in screen) == (1, True), screen
    code, screen = at_a_terminal(keywright, *cancel, typing=[("End it?", "y")])
    assert (code, "Run 1 is cancelled" in screen) == (0, True), screen
    for command in ("cancel", "pause", "resume"):
        assert "cancelled" in refused(keywright, "reencryption", command, "1")
    assert "was cancelled" in refused(keywright, "reencryption", "show", "1", "--watch")
    assert prefixes(custody.connection) == {}


def test_who_watches_learns_that_nobody_works(keywright: Keywright, custody: Custody) -> None:
    start(keywright, "--encrypt", *CARD)

    def advice() -> str:
        return str(show(keywright)["progress"]["advice"])

    until(lambda: "is a worker running (`keywright worker`)" in advice(), "the run to complain")
    custody.connection.execute(
        "UPDATE keywright.job SET state = 'cancelled', finished_at = now()"
        " WHERE kind = 'reencryption.prepare'"
    )
    assert "no job works on it any more; `keywright reencryption resume 1`" in advice()
    done(keywright, "reencryption", "resume", "1")
    with a_worker(keywright):
        said = done(keywright, "reencryption", "show", "1", "--watch")
    assert said.rstrip().endswith("\ncompleted")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("show", "99"), "There is no run 99"),
        (("pause", "99"), "There is no run 99"),
        (("resume", "99"), "There is no run 99"),
        (("cancel", "99"), "There is no run 99"),
        (("report", "99"), "There is no run 99"),
        (("verify", "99"), "There is no run 99"),
        (("verify",), "Name a run, or an organization"),
        (("verify", "1", *ACME), "Name a run, or an organization"),
        (("quarantine", "-o", "Nobody"), "There is no organization named “Nobody”"),
        (("start", *ACME, "--encrypt"), "--field: name what is to be encrypted"),
        (("start", *ACME, "--decrypt"), "--field: name what is to be decrypted"),
        (("start", *ACME, "--encrypt", "--decrypt", *CARD), "are opposites"),
        (("start", *ACME, "--field", "customer.kard"), "no encrypted field named “customer.kard”"),
        (("start", *ACME, *CARD), "is in state plaintext"),
        (("start", *ACME, *CARD, "--dry-run"), "is in state plaintext"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    keywright: Keywright, command: tuple[str, ...], says: str
) -> None:
    assert says in refused(keywright, "reencryption", *command)
    assert keywright.json("reencryption", "list") == []


def test_a_missing_table_and_a_missing_root_key_are_said_in_one_line(
    keywright: Keywright, custody: Custody
) -> None:
    encrypt = ("reencryption", "start", *ACME, "--encrypt", *CARD)
    without = {k: v for k, v in keywright.settings.items() if k != "KEYWRIGHT_ROOT_KEY"}
    nameless = Keywright(keywright.data_dir, without)
    assert "KEYWRIGHT_ROOT_KEY is not set" in refused(nameless, *encrypt)
    custody.connection.execute("DROP TABLE public.customer")
    assert "`keywright field check`" in refused(keywright, *encrypt, "--dry-run")
