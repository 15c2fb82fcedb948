"""``keywright mutual-tls bundle``: what a listener needs, once or kept up to date."""

import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from workers.certificates.mutual_tls.listener_files import Listener
from workers.certificates.mutual_tls.refreshing import Refreshed, refresh
from workers.certificates.mutual_tls.watching import watch
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, console, print_json
from workers.cli.session import operator
from workers.database.open import open_database
from workers.database.pool import DATABASE_TROUBLE, DatabaseUnavailableError, connect
from workers.database.schema import check_schema
from workers.organizations.store import organization_id
from workers.processes import stop_on_signals
from workers.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("bundle")(bundle)


def bundle(
    reload_command: Annotated[
        list[str] | None,
        typer.Argument(help="After --, the words of a command that has the listener reload."),
    ] = None,
    *,
    organization: OrganizationOption,
    output: Annotated[Path, typer.Option(help="The folder that the listener reads.")],
    keep_watching: Annotated[
        bool, typer.Option("--watch", help="Keep it up to date until it is stopped.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=1, max=3600, help="With --watch: look after so many seconds.")
    ] = 10,
    listen: Annotated[
        str, typer.Option(help="For the HAProxy snippet: where it listens.")
    ] = Listener.listen,
    server_certificate: Annotated[
        str, typer.Option(help="For HAProxy and Envoy: the listener's own chain and key, PEM.")
    ] = Listener.server_certificate,
    backend: Annotated[
        str, typer.Option(help="For the HAProxy snippet: the backend that is served.")
    ] = Listener.backend,
    as_json: JsonOption = False,
) -> None:
    """Write what a listener needs to accept an organization's clients, and nobody else.

    The folder gets `current/` with the authorities, the accepted certificates, and snippets for
    nginx, HAProxy and Envoy. It is replaced in one step, and only when something has changed. With
    `--watch` the database is looked at every so many seconds: that is the longest that a change
    takes to arrive, but for the reload itself.

    Examples:
    `keywright mutual-tls bundle -o Acme --output /etc/keywright/acme`

    `keywright mutual-tls bundle -o Acme --output /etc/keywright/acme --watch --every 5 -- nginx -s
    reload`
    """
    folder = output.absolute()
    listener = Listener(
        folder=PurePosixPath(folder),
        listen=listen,
        server_certificate=server_certificate,
        backend=backend,
    )
    settings = load_settings()
    with open_database(settings.database_url, settings.data_dir) as database:

        def refresh_once() -> Refreshed:
            # A connection each time: it does not matter what became of the last one.
            with connect(database.conninfo, name="bundle", acting=operator()) as connection:
                check_schema(connection)
                try:
                    return refresh(
                        connection,
                        organization_id=organization_id(connection, organization),
                        folder=folder,
                        listener=listener,
                        reload_command=reload_command or (),
                    )
                except DATABASE_TROUBLE as error:
                    raise DatabaseUnavailableError(
                        "The database was lost; the listener keeps the bundle that it has."
                    ) from error

        if keep_watching:
            _watch(refresh_once, every, folder, as_json=as_json)
        else:
            _report(refresh_once(), folder, as_json=as_json)


def _watch(
    refresh_once: Callable[[], Refreshed], every: float, folder: Path, *, as_json: bool
) -> None:
    first = True

    def report(refreshed: Refreshed) -> None:
        nonlocal first
        if first or refreshed.changed or refreshed.reloaded:
            _report(refreshed, folder, as_json=as_json)
            sys.stdout.flush()
        first = False

    def complain(text: str) -> None:
        typer.echo(f"keywright: {text}", err=True)

    watch(
        refresh_once,
        every_seconds=every,
        stop=stop_on_signals(),
        report=report,
        complain=complain,
    )


def _report(refreshed: Refreshed, folder: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(refreshed)
        return
    done = "written" if refreshed.changed else "unchanged"
    console.print(
        f"{folder}/current: {refreshed.clients} client certificate"
        f"{'' if refreshed.clients == 1 else 's'}, {done}"
        f"{', listener reloaded' if refreshed.reloaded else ''}.",
        markup=False,
        soft_wrap=True,
    )
