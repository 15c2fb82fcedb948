"""``keywright seal`` and ``keywright sealing-key``."""

from pathlib import Path
from typing import Annotated

import typer

from workers.cli.keystore_options import read_password
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, console, print_json
from workers.cli.session import open_session
from workers.composition import configured_root_keys
from workers.contract import JOB_REQUESTS
from workers.errors import InvalidRequestError, NotFoundError
from workers.keys.sealing import PublishedKey, seal
from workers.keys.sealing_keys import ensure_sealing_key, published_key, rotate_sealing_key
from workers.settings import load_settings

_LONGEST_NAME = 80


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("seal")(seal_secret)
    group = typer.Typer(no_args_is_help=True, help="The key that others seal secrets to.")
    group.command("show")(show)
    group.command("rotate")(rotate)
    app.add_typer(group, name="sealing-key")


def seal_secret(
    kind: Annotated[str, typer.Argument(help="The kind of job, such as keystore.export.")],
    argument: Annotated[str, typer.Argument(help="Its argument, such as password.")],
    *,
    organization: OrganizationOption,
    secret_file: Annotated[
        Path | None,
        typer.Option(help="A file whose first line is the secret; without it, you are asked."),
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option(help="What `sealing-key show --json` printed; then no database is needed."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Seal a secret for one argument of one kind of job in one organization.

    What is printed stands for the secret in a request; only a worker can open it, and only there.
    The organization is named exactly as it is.

    Example: `keywright seal keystore.export password -o Acme --secret-file password.txt`
    """
    request = next((each for each in JOB_REQUESTS if each.kind == kind), None)
    if request is None or argument not in request.model_fields:
        raise InvalidRequestError(
            f"There is no argument {argument} of a job {kind}; `keywright job kinds --json` shows"
            " them."
        )
    if not 1 <= len(organization) <= _LONGEST_NAME:
        raise InvalidRequestError(f"--organization: 1 to {_LONGEST_NAME} characters.")
    secret = read_password(secret_file, confirm=secret_file is None, option="--secret-file")
    key = _published() if public_key is None else _from_file(public_key)
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


def rotate(*, as_json: JsonOption = False) -> None:
    """Publish a new key; the one before opens what was sealed to it for 30 days more.

    It is done every 90 days by itself, once there is one.
    """
    root_keys = configured_root_keys(load_settings())
    with open_session() as connection:
        key = rotate_sealing_key(connection, root_keys)
    _print(key, as_json=as_json)


def _published() -> PublishedKey:
    settings = load_settings()
    with open_session() as connection:
        key = published_key(connection)
        return key or ensure_sealing_key(connection, configured_root_keys(settings))


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
