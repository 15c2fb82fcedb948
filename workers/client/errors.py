"""Why keywright did not do what it was asked, told apart by what the database answers."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from workers.errors import (
    ConflictError,
    InvalidRequestError,
    NotAllowedError,
    NotFoundError,
    PermanentError,
    TooLargeError,
    TooManyOpenJobsError,
    TransientError,
)


class InvalidArgumentsError(InvalidRequestError):
    """The arguments are not what the kind of job takes; the text names the one and the fault."""


class NoSuchJobError(NotFoundError):
    """This requester asked for no such job."""


class WrongStateError(ConflictError):
    """The job is not in a state in which this could be done."""


_BY_STATE: dict[str, type[PermanentError | TransientError]] = {
    "42501": NotAllowedError,
    "22023": InvalidArgumentsError,
    "54000": TooLargeError,
    "53400": TooManyOpenJobsError,
    "P0002": NoSuchJobError,
    "55000": WrongStateError,
}


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the database refuses as an error of ours, with the database's sentence."""
    try:
        yield
    except psycopg.DatabaseError as error:
        kind = _BY_STATE.get(error.sqlstate or "")
        if kind is None and isinstance(error, psycopg.DataError):
            kind = InvalidArgumentsError  # such as a NUL, which no text in Postgres can hold
        if kind is None:
            raise
        sentence = error.diag.message_primary or str(error)
        hint = f" {error.diag.message_hint}" if error.diag.message_hint else ""
        raise kind(f"{sentence[0].upper()}{sentence[1:]}.{hint}") from error
