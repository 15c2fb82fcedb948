"""What the commands on master keys share: options, who asks, what is read and said."""

import os
import pwd
import sys
from pathlib import Path
from typing import Annotated

import typer

from workers.cli.output import console, print_json
from workers.errors import InvalidRequestError
from workers.keys.root_keys.secret_file import read_secret_file
from workers.keys.rotation_by_hand import RotatedByHand

KeyNumber = Annotated[int, typer.Argument(min=1, max=2**32 - 1, help="Number of the master key.")]
OnlyOrganization = Annotated[
    str | None, typer.Option("--organization", "-o", help="Only of this organization.")
]
ReasonOption = Annotated[str, typer.Option(help="Why; kept in the key's history.")]
ReencryptOption = Annotated[
    bool, typer.Option("--reencrypt", help="Have every encrypted field move to the new key.")
]
PassphraseFileOption = Annotated[
    Path | None,
    typer.Option(help="A file whose first line is the passphrase; without it, you are asked."),
]
PrivateKeyFileOption = Annotated[
    Path | None, typer.Option(help="The RSA private key that opens it, in PEM or DER.")
]


def actor() -> str:
    """Return who asks, as the operating system knows them."""
    user = os.getuid()
    try:
        return f"cli:{pwd.getpwuid(user).pw_name}"
    except KeyError:
        return f"cli:{user}"  # a container without an entry for its user


def read_passphrase(path: Path | None, *, confirm: bool = False) -> str:
    """Return the first line of the file, or what a person types without seeing it.

    Raises:
        InvalidRequestError: the file does not do, or nobody can be asked.
    """
    if path is not None:
        content = read_secret_file(path, variable="--passphrase-file", what="the passphrase")
        try:
            return content.decode("utf-8").partition("\n")[0].removesuffix("\r")
        except UnicodeDecodeError:
            raise InvalidRequestError("--passphrase-file: it is not text in UTF-8.") from None
    if not sys.stdin.isatty():
        raise InvalidRequestError(
            "A passphrase is needed and there is nobody to ask; name a file whose first line it is"
            " (--passphrase-file)."
        )
    given = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True)
    return str(given)


def read_input(path: Path, *, most_bytes: int) -> bytes:
    """Return the content of a file, or its first bytes where it has more than ``most_bytes``.

    Raises:
        InvalidRequestError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(most_bytes + 1)
    except OSError as error:
        raise InvalidRequestError(f"Cannot read {path} ({error.strerror}).") from error


def print_rotated(rotated: RotatedByHand, *, as_json: bool) -> None:
    """Say what a rotation led to."""
    if as_json:
        print_json(rotated)
    elif not rotated.rotated:
        console.print(
            f"Somebody else has just rotated: master key {rotated.number} is active. Nothing was"
            " changed.",
            soft_wrap=True,
        )
    elif rotated.former is None:
        console.print(f"Master key {rotated.number} is active, the first of its organization.")
    else:
        console.print(f"Master key {rotated.number} is active, {rotated.former} is archived.")
        console.print(what_follows(rotated.reencryption_job))


def what_follows(job_id: int | None) -> str:
    """Say what becomes of the values that there are."""
    if job_id is None:
        return "New values use it; `keywright reencryption start` moves the others to it."
    return f"Job {job_id} moves the encrypted fields to it; `keywright job show {job_id}`."
