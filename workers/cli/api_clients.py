"""``keywright api-client``: configurations for programs that present a certificate kept here."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from workers.certificates.api_clients.addresses import check_url
from workers.certificates.api_clients.configuring import (
    configure_client,
    find_identity,
    open_private_key,
)
from workers.certificates.api_clients.files import CONFIGURATIONS, ClientRequest, Program
from workers.certificates.api_clients.identity import read_private_key
from workers.certificates.api_clients.writing import write_files
from workers.certificates.private_keys import PrivateKeys
from workers.cli.certificate_session import open_certificate_session
from workers.cli.key_options import actor, read_input, read_passphrase
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, cell, console, print_json
from workers.cli.session import open_session
from workers.database.pool import Connection, database_clock
from workers.errors import InvalidRequestError
from workers.keys.root_keys.secret_file import read_secret_file
from workers.organizations.store import organization_id

_MOST_BYTES = 1024 * 1024


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        no_args_is_help=True, help="API clients: configured for their certificates."
    )
    group.command("configure")(configure)
    # A group of one command only would lose its name.
    group.callback()(lambda: None)
    app.add_typer(group, name="api-client")


def configure(
    name: Annotated[str, typer.Argument(help="Unique name of the certificate.")],
    *,
    organization: OrganizationOption,
    program: Annotated[Program, typer.Option("--for", help="What calls the API.")],
    url: Annotated[str, typer.Option(help="What it calls, such as https://api.example.org:8443/")],
    output: Annotated[Path, typer.Option(help="The folder that the files go to.")],
    server_ca: Annotated[
        Path | None, typer.Option(help="PEM: whom to trust; default: what the system trusts.")
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(help="Its private key, where that is not here or may not leave; PEM."),
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="Java: a file whose first line protects the keystore.")
    ] = None,
    installed_in: Annotated[
        Path | None, typer.Option(help="Where the folder will lie when the program runs.")
    ] = None,
    place: Annotated[
        str | None, typer.Option(help="Register this name as using the certificate (api_client).")
    ] = None,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="Default: the newest signed one.")
    ] = None,
    replace_files: Annotated[
        bool, typer.Option("--replace", help="Replace the files of an earlier time.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a configuration with which a program presents a certificate, ready to be run.

    The files, the private key among them, can be read by you alone. A key leaves only if it is
    exportable, and that it did is announced. Java gets a PKCS #12 keystore, the others PEM.

    Examples:
    `keywright api-client configure partner -o Acme --for curl --url https://api.example.org:8443/
    --output partner-curl --place "nightly export"`

    `keywright api-client configure partner -o Acme --for java --url https://api.example.org:8443/
    --output partner-java --password-file password --key-file partner.key`
    """
    folder = output.absolute()
    request = ClientRequest(
        program=program,
        url=check_url(url),
        folder=PurePosixPath(installed_in or folder),
        key_file=None if key_file is None else PurePosixPath(key_file.absolute()),
        server_ca=None if server_ca is None else read_input(server_ca, most_bytes=_MOST_BYTES),
        password=_password(program, password_file),
        password_file=None if password_file is None else PurePosixPath(password_file.absolute()),
    )
    with _session(needs_keys=key_file is None) as (connection, private_keys):
        owner, now = organization_id(connection, organization), database_clock(connection)
        found, identity = find_identity(
            connection,
            organization_id=owner,
            unique_name=name,
            version_number=version,
            now=now,
        )
        key = None
        if private_keys is not None:
            key = open_private_key(connection, private_keys, organization_id=owner, version=found)
        elif key_file is not None:
            key = _own_key(key_file, found.certificate_der, needed=program is Program.JAVA)
        files = configure_client(
            connection,
            organization_id=owner,
            version=found,
            identity=replace(identity, private_key=key),
            request=request,
            place=place,
            by=actor(),
            now=now,
            write=partial(write_files, folder, replace=replace_files),
        )
    if as_json:
        print_json({"folder": str(folder), "files": files, "not_after": found.not_after})
        return
    console.print(
        f"{folder}: {', '.join(files)}; {CONFIGURATIONS[program]} is for {program.value}. The"
        f" certificate ends on {cell(found.not_after)}.",
        markup=False,
        soft_wrap=True,
    )


@contextmanager
def _session(*, needs_keys: bool) -> Iterator[tuple[Connection, PrivateKeys | None]]:
    if needs_keys:
        with open_certificate_session() as (connection, tools):
            yield connection, tools.private_keys
    else:
        with open_session() as connection:
            yield connection, None


def _password(program: Program, path: Path | None) -> str | None:
    if program is not Program.JAVA:
        if path is not None:
            raise InvalidRequestError("--password-file: only Java's keystore has a password.")
        return None
    if path is None:
        raise InvalidRequestError(
            "--password-file: Java reads the key from a keystore; name a file whose first line is"
            " to be its password."
        )
    return read_passphrase(path)


def _own_key(path: Path, certificate: bytes, *, needed: bool) -> bytes | None:
    """Return the key that a client has by itself; it may be on another machine unless needed."""
    if not needed and not path.exists():
        return None
    pem = read_secret_file(path, variable="--key-file", what="the private key")
    return read_private_key(pem, certificate)
