"""``keywright seal`` and ``keywright sealing-key``."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from workers.cli.keystore_options import read_password
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, console, print_json, print_rows
from workers.cli.session import open_session
from workers.composition import configured_root_keys
from workers.contract import JOB_REQUESTS
from workers.contract.secrets import secret_arguments
from workers.errors import InvalidRequestError, NotFoundError
from workers.keys.sealing import MOST_CHARACTERS, PublishedKey, seal
from workers.keys.sealing_keys import (
    ensure_sealing_key,
    list_sealing_keys,
    published_key,
    rotate_sealing_key,
)
from workers.organizations.store import exact_name
from workers.settings import load_settings

_LONGEST_NAME = 80
_STANDARD_INPUT = Path("-")


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("seal")(seal_secret)
    group = typer.Typer(no_args_is_help=True, help="The key that others seal secrets to.")
    group.command("show")(show)
    group.command("list")(list_keys)
    group.command("rotate")(rotate)
    app.add_typer(group, name="sealing-key")


def seal_secret(
    kind: Annotated[str, typer.Argument(help="The kind of job, such as keystore.export.")],
    argument: Annotated[str, typer.Argument(help="Its argument, such as password.")],
    *,
    organization: OrganizationOption,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            help="A file whose first line is the secret; - for standard input; without it, you are"
            " asked."
        ),
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option(help="What `sealing-key show --json` printed; then no database is needed."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Seal a secret for one argument of one kind of job in one organization.

    What is printed stands for the secret in a request; only a worker can open it, and only there.
    With --public-key, nobody can look the organization up: name it exactly, in its own case.

    Example: `keywright seal keystore.export password -o Acme --secret-file password.txt`
    """
    _check_place(kind, argument)
    if public_key is None:
        key, organization = _published(organization)
    else:
        key = _from_file(public_key)
    if organization != organization.strip() or not 1 <= len(organization) <= _LONGEST_NAME:
        raise InvalidRequestError(
            f"--organization: 1 to {_LONGEST_NAME} characters, without blanks around them."
        )
    secret = _read_secret(secret_file)
    sealed = seal(key, secret, organization=organization, kind=kind, argument=argument)
    if as_json:
        print_json({"sealed": sealed})
    else:
        typer.echo(sealed)


def show(*, as_json: JsonOption = False) -> None:
    """Show the key that secrets are sealed to.

    Example: `keywright sealing-key show --json > sealing-key.json`
    """
    with open_session() as connection:
        key = published_key(connection)
    if key is None:
        raise NotFoundError("There is none yet; `keywright sealing-key rotate` makes one.")
    _print(key, as_json=as_json)


def list_keys(*, as_json: JsonOption = False) -> None:
    """List the sealing keys, those that open nothing any more among them.

    Example: `keywright sealing-key list`
    """
    with open_session() as connection:
        rows = list_sealing_keys(connection)
    print_rows(
        rows,
        {
            "sealing_key_id": "Sealing key",
            "created_at": "Made",
            "opens_until": "Opens until",
            "gone_at": "Removed",
            "root_keys": "Wrapped under",
        },
        as_json=as_json,
        empty="There is none yet; `keywright sealing-key rotate` makes one.",
    )


def rotate(
    *,
    overlap_days: Annotated[
        int,
        typer.Option(
            min=0,
            max=365,
            help="How long the one before still opens; 0 if somebody may have its private key.",
        ),
    ] = 30,
    as_json: JsonOption = False,
) -> None:
    """Publish a new key; the one before opens what was sealed to it for 30 days more.

    Once there is one, that is done by itself every 90 days (KEYWRIGHT_SEALING_KEY_DAYS).

    Example: `keywright sealing-key rotate --json > sealing-key.json`
    """
    root_keys = configured_root_keys(load_settings())
    with open_session() as connection:
        key = rotate_sealing_key(connection, root_keys, overlap=timedelta(days=overlap_days))
    _print(key, as_json=as_json)


def _check_place(kind: str, argument: str) -> None:
    secrets = {each.kind: secret_arguments(each) for each in JOB_REQUESTS if secret_arguments(each)}
    if argument not in secrets.get(kind, ()):
        known = ", ".join(f"{kind} {' or '.join(names)}" for kind, names in secrets.items())
        raise InvalidRequestError(
            f"There is no argument {argument} of a job {kind} that is a secret; there are: {known}."
        )


def _published(organization: str) -> tuple[PublishedKey, str]:
    """Return the key, made if there is none yet, and the organization's name in its own case."""
    settings = load_settings()
    with open_session() as connection:
        name = exact_name(connection, organization)
        key = published_key(connection)
        return key or ensure_sealing_key(connection, configured_root_keys(settings)), name


def _read_secret(path: Path | None) -> str:
    if path != _STANDARD_INPUT:
        return read_password(path, confirm=path is None, option="--secret-file")
    line = sys.stdin.buffer.readline(4 * MOST_CHARACTERS + 2)
    try:
        return line.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise InvalidRequestError("--secret-file: it is not text in UTF-8.") from None


def _from_file(path: Path) -> PublishedKey:
    try:
        return PublishedKey.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"--public-key: cannot read {path}.") from error


def _print(key: PublishedKey, *, as_json: bool) -> None:
    if as_json:
        print_json(key.as_json())
        return
    for name, value in key.as_json().items():
        console.print(f"{name.replace('_', ' '):16}{value}", markup=False)
