"""All commands in one tree, and the one place where an error becomes a line and an exit code."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Annotated

import typer

from workers.errors import KeywrightError
from workers.telemetry import configure_logging

MODULES = {
    "demo": "demo",
    "up": "running",
    "scheduler": "running",
    "worker": "running",
    "database": "database",
    "broker": "broker",
    "organization": "organizations",
    "member": "organizations",
    "certificate": "certificates",
    "usage": "usages",
    "replacement": "replacements",
    "saml": "saml",
    "mutual-tls": "mutual_tls",
    "api-client": "api_clients",
    "keystore": "keystores",
    "artifact": "artifacts",
    "secret": "artifacts",
    "key": "keys",
    "sealing-key": "sealing",
    "seal": "sealing",
    "field": "fields",
    "reencryption": "reencryption",
    "notice": "notices",
    "job": "jobs",
    "requester": "requesters",
    "enqueue": "enqueueing",
    "announcement": "announcements",
    "webhook": "webhooks",
    "audit": "audit",
    "status": "status",
}
"""The first word of each command, in the order of ``--help``, and the module that registers it."""

_HELP = (
    "Keeps an organisation's certificates, keys and encrypted fields in order.\n\n"
    "Without any setting, a Postgres of its own is run under .keywright/ and mail is caught in"
    " files. KEYWRIGHT_DATABASE_URL, KEYWRIGHT_BROKER_URL and KEYWRIGHT_SMTP_URL name real"
    " servers; each may be given as …_FILE. `keywright demo` shows it all in half a minute."
)


def command_line(words: Sequence[str] = ()) -> typer.Typer:
    """Return the commands that ``words`` can mean: one module's, or all where none is named.

    What a command does not need is not imported: half of the time that a short one takes.
    """
    app = typer.Typer(
        name="keywright",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        help=_HELP,
    )
    app.callback()(_options)
    first = next((word for word in words if not word.startswith("-")), None)
    wanted = [MODULES[first]] if first in MODULES else dict.fromkeys(MODULES.values())
    for name in wanted:
        import_module(f"workers.cli.{name}").register(app)
    return app


def _show_version(*, asked: bool) -> None:
    if asked:
        typer.echo(f"keywright {version('keywright')}")
        raise typer.Exit


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


def main() -> None:
    """Run the command line; errors meant for people are one line (or a list) and exit code 1."""
    configure_logging("warning", "text")
    try:
        command_line(sys.argv[1:])()
    except KeywrightError as error:
        from rich.console import Console  # noqa: PLC0415  # not where all goes well

        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"keywright: {error}", markup=False, style="red"
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
