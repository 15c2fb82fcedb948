"""All commands in one tree, and the one place where an error becomes a line and an exit code."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console

from workers.cli import (
    certificates,
    database,
    demo,
    enqueueing,
    fields,
    jobs,
    keys,
    notices,
    organizations,
    reencryption,
    running,
    status,
    usages,
)
from workers.errors import KeywrightError
from workers.telemetry import configure_logging

app = typer.Typer(
    name="keywright",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help=(
        "Keeps an organisation's certificates, keys and encrypted fields in order.\n\n"
        "Without any setting, a Postgres of its own is run under .keywright/ and mail is caught in"
        " files. KEYWRIGHT_DATABASE_URL, KEYWRIGHT_BROKER_URL and KEYWRIGHT_SMTP_URL name real"
        " servers; each may be given as …_FILE. `keywright demo` shows it all in half a minute."
    ),
)


def _show_version(*, asked: bool) -> None:
    if asked:
        typer.echo(f"keywright {version('keywright')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version and exit.",
            is_eager=True,
            callback=lambda asked: _show_version(asked=asked),
        ),
    ] = False,
) -> None:
    pass


demo.register(app)
running.register(app)
database.register(app)
organizations.register(app)
certificates.register(app)
usages.register(app)
keys.register(app)
fields.register(app)
reencryption.register(app)
notices.register(app)
jobs.register(app)
enqueueing.register(app)
status.register(app)


def main() -> None:
    """Run the command line; errors meant for people are one line (or a list) and exit code 1."""
    configure_logging("warning", "text")
    try:
        app()
    except KeywrightError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"keywright: {error}", markup=False, style="red"
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
