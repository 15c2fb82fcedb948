"""An operator's desk: the command on a database with one organization and its customers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.keywright_command import Keywright, url_of
from tests.integration.keys.custody import Custody
from workers.database.pool import Connection
from workers.encryption.registry import FieldDefinition, register_field

ACME = ("-o", "Acme")
CARD = ("--field", "customer.card")
ROWS = 2_000


def open_desk(custody: Custody, conninfo: str, folder: Path) -> Keywright:
    """Return the command, on the database and root key of ``custody``, its cards in plaintext."""
    keywright = Keywright(
        folder / "data",
        {
            "KEYWRIGHT_DATABASE_URL": url_of(conninfo),
            "KEYWRIGHT_ROOT_KEY": f"file:{custody.folder / 'root.key'}",
            "KEYWRIGHT_SMTP_URL": "smtp://localhost:9",
        },
    )
    make_customers(custody.connection)
    definition = FieldDefinition(
        field_name="customer.card",
        connection_name=None,
        table_schema="public",
        table_name="customer",
        column_name="card",
        column_type="text",
        key_columns=["id"],
        key_types=["bigint"],
        organization_column=None,
        organization_id=custody.organization_id,
    )
    register_field(custody.connection, definition)
    return keywright


def make_customers(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE public.customer (id bigint PRIMARY KEY, card text) WITH (fillfactor = 90)"
    )
    connection.execute(
        "INSERT INTO public.customer SELECT i, 'card ' || i FROM generate_series(1, %s) AS i",
        [ROWS],
    )


@contextmanager
def a_worker(keywright: Keywright) -> Iterator[None]:
    """Let a worker run during the block."""
    running = keywright.start("-m", "workers.cli", "worker", "--processes", "1", "--threads", "2")
    try:
        yield
    finally:
        running.terminate()
        running.communicate(timeout=60)


def done(keywright: Keywright, *arguments: str) -> str:
    """Run a command that must succeed; return what it said."""
    ran = keywright.run(*arguments)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout + ran.stderr
    return ran.stdout


def refused(keywright: Keywright, *arguments: str) -> str:
    """Run a command that must not; return its one line."""
    ran = keywright.run(*arguments)
    assert ran.returncode == 1, ran.stdout
    assert ran.stderr.startswith("keywright: ")
    assert ran.stderr.count("\n") == 1
    return ran.stderr


def start(keywright: Keywright, *options: str) -> str:
    return done(keywright, "reencryption", "start", *ACME, *options)


def show(keywright: Keywright, run: int = 1) -> dict[str, Any]:
    shown: dict[str, Any] = keywright.json("reencryption", "show", str(run))
    return shown


def prefixes(connection: Connection, table: str = "public.customer") -> dict[str, int]:
    """Count the values by how they begin: ciphertext names its key in eight characters."""
    rows = connection.execute(
        f"SELECT left(card, 8), count(*) FROM {table} WHERE card LIKE 'kw%' GROUP BY 1"
    ).fetchall()
    return dict(rows)
