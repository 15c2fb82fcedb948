"""``keywright reencryption verify``, and what it and the dry run work with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import psycopg
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from workers.cli.output import JsonOption, console, print_json
from workers.cli.reencryption_report import print_findings
from workers.cli.session import operator
from workers.database.open import open_database
from workers.database.pool import Connection, connect, open_pool
from workers.database.schema import check_schema
from workers.encryption.connections import Connections
from workers.encryption.registry import EncryptedField, list_fields
from workers.errors import InvalidRequestError, TransientError
from workers.keys.keyring import KeyRing
from workers.keys.root_keys.opening import open_root_keys
from workers.organizations.store import organization_id
from workers.reencryption import store
from workers.reencryption.census import take_census
from workers.reencryption.tools import Tools
from workers.reencryption.verification import Findings, verify_fields
from workers.settings import load_settings


class DatabaseRefusedError(TransientError):
    """A database that holds encrypted fields did not do what was asked of it."""


def register(group: typer.Typer) -> None:
    """Add the command to ``keywright reencryption``."""
    group.command("verify")(verify)


def verify(
    run: Annotated[
        int | None, typer.Argument(metavar="RUN", min=1, help="The fields of this run.")
    ] = None,
    *,
    organization: Annotated[
        str | None, typer.Option("--organization", "-o", help="Or all encrypted fields of this.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Open every value right now, and write nothing. Exits with 1 if one does not open.

    Example: `keywright reencryption verify -o Acme`
    """
    if (run is None) == (organization is None):
        raise InvalidRequestError("Name a run, or an organization with --organization.")
    with open_tools() as (connection, tools):
        owner, fields = _fields_to_verify(connection, run, organization)
        findings = Findings(organization_id=owner)
        _open_all(tools, fields, findings, quiet=as_json)
    if as_json:
        print_json(findings)
    else:
        print_findings(findings)
        if not findings.total_unopened:
            console.print(f"Every one of {findings.total_values:,} values opens.")
    if findings.total_unopened:
        raise typer.Exit(code=1)


@contextmanager
def open_tools(*, may_make_root_key: bool = False) -> Iterator[tuple[Connection, Tools]]:
    """Yield a connection to keywright's own database, and what runs work with.

    Raises:
        KeywrightError: a setting is wrong, or a database does not do its part.
    """
    settings = load_settings()
    root_keys = open_root_keys(
        settings.effective_root_key,
        settings.former_root_key,
        create=may_make_root_key and settings.makes_root_key,
    )
    with (
        open_database(settings.database_url, settings.data_dir) as database,
        connect(database.conninfo, name="cli", acting=operator()) as connection,
        open_pool(database.conninfo, size=2, name="cli keys", acting=operator()) as pool,
    ):
        check_schema(connection)
        tools = Tools(
            keyring=KeyRing(pool, root_keys),
            connections=Connections(database.conninfo, settings.connections),
            ledger=pool,
        )
        try:
            yield connection, tools
        except psycopg.Error as error:
            # Of an error of the server, what kind it is: its text may hold values.
            raise DatabaseRefusedError(
                f"A database broke off with {type(error).__name__}; `keywright field check` looks"
                " at the columns, and the server's log has the reason."
            ) from error


def _fields_to_verify(
    connection: Connection, run_id: int | None, organization: str | None
) -> tuple[int, list[EncryptedField]]:
    if run_id is not None:
        run = store.load_run(connection, run_id)
        return run.organization_id, list_fields(connection, field_ids=run.field_ids)
    assert organization is not None
    owner = organization_id(connection, organization)
    fields = list_fields(connection, organization_id=owner)
    return owner, [field for field in fields if field.state != "plaintext"]


def _open_all(
    tools: Tools, fields: Sequence[EncryptedField], findings: Findings, *, quiet: bool
) -> None:
    with Progress(
        TextColumn("opening values"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    ) as progress:
        total = sum(
            census.values
            for census in take_census(tools.connections, fields, findings.organization_id)
        )
        task = progress.add_task("", total=total)
        for opened in verify_fields(tools, fields, findings):
            progress.update(task, completed=opened, total=max(total, opened))
