"""What the commands on keystores share: options, and passwords that are never arguments."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workers.certificates.keystores.limits import Limits
from workers.cli.key_options import read_input
from workers.errors import InvalidRequestError
from workers.keys.root_keys.secret_file import read_secret_file


class KeystoreFormat(StrEnum):
    """What a keystore is written as."""

    PKCS12 = "pkcs12"
    JKS = "jks"
    PEM = "pem"


PasswordFileOption = Annotated[
    Path | None,
    typer.Option(help="A file whose first line is the password; without it, you are asked."),
]
KeyPasswordFileOption = Annotated[
    Path | None,
    typer.Option(help="A file with the password of the keys, where it is not the keystore's."),
]
StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="Let in RSA keys in JKS only, all with the keystore's password."),
]
KeystoreFile = Annotated[
    Path, typer.Argument(help="JKS, JCEKS, PKCS #12 or PEM, whatever it is called.")
]


def read_password(
    path: Path | None, *, confirm: bool = False, option: str = "--password-file"
) -> str:
    """Return the first line of the file, or what a person types without seeing it.

    Raises:
        InvalidRequestError: the file does not do, or nobody can be asked.
    """
    if path is not None:
        content = read_secret_file(path, variable=option, what="the password")
        try:
            return content.decode("utf-8").partition("\n")[0].removesuffix("\r")
        except UnicodeDecodeError:
            raise InvalidRequestError(f"{option}: it is not text in UTF-8.") from None
    if not sys.stdin.isatty():
        raise InvalidRequestError(
            "A password is needed and there is nobody to ask; name a file whose first line it is"
            f" ({option})."
        )
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=confirm, err=True))


def read_key_password(path: Path | None) -> str | None:
    """Return the password of the keys, if a file of it is named.

    Raises:
        InvalidRequestError: the file does not do.
    """
    return None if path is None else read_password(path, option="--key-password-file")


def read_keystore_file(path: Path) -> bytes:
    """Return the content of a file, up to just above what a keystore may have.

    Raises:
        InvalidRequestError: it cannot be read.
    """
    return read_input(path, most_bytes=Limits().max_bytes)
