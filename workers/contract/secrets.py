"""Secrets among a job's arguments: by reference, or sealed to keywright's published key."""

from typing import Annotated, Final, get_args
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, StringConstraints

SEALED = "sealed:v1:"

# The shortest secret is one byte, the longest 1024 characters of four bytes in UTF-8; HPKE adds 32
# bytes of X25519 and a tag of 16, and base64 makes four characters of three bytes.
_LEAST_SEALED = 66
MOST_CHARACTERS = len(SEALED) + 32 + 1 + 5526


class _MarkOfASecret:
    """Stands in the annotation of an argument that is a secret, to tell it from other text."""


_MARK: Final = _MarkOfASecret()


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, UUID) else value


Secret = Annotated[
    str,
    StringConstraints(
        max_length=MOST_CHARACTERS,
        pattern=r"^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
        rf"|sealed:v1:[a-z0-9]{{8,32}}:[A-Za-z0-9_-]{{{_LEAST_SEALED},}})$",
    ),
    BeforeValidator(_as_text),
    _MARK,
]
"""The id of a handed secret, or ``sealed:v1:<key id>:<base64url of HPKE's enc and ciphertext>``.

Anything else is refused, a password in the clear above all. What is sealed is bound to the
organization, the kind of job and the argument, so it opens nowhere else.
"""


def reference_in(secret: str | None) -> UUID | None:
    """Return the id of the handed secret that is meant; None: it is sealed, or there is none."""
    return None if secret is None or secret.startswith(SEALED) else UUID(secret)


def secret_arguments(request: type[BaseModel]) -> tuple[str, ...]:
    """Return the names of a request's arguments that are secrets."""
    return tuple(
        name
        for name, field in request.model_fields.items()
        if _MARK in field.metadata
        or any(_MARK in getattr(each, "__metadata__", ()) for each in get_args(field.annotation))
    )


def purpose_of(organization: str, kind: str, argument: str) -> bytes:
    """Return what a sealed secret is bound to: the ``info`` of HPKE (RFC 9180 §5.1)."""
    return f"keywright secret v1\n{organization}\n{kind}\n{argument}".encode()
