"""Why a request is refused; nothing was changed, and the text repeats nothing of it."""

import psycopg

from workers.database.pool import DATABASE_TROUBLE
from workers.errors import (
    ConflictError,
    InvalidRequestError,
    NotAllowedError,
    TooLargeError,
    TooManyOpenJobsError,
)


class UnreadableRequestError(InvalidRequestError):
    """It is no CloudEvent, or none of a form that is understood here."""


class RepeatedIdError(ConflictError):
    """Another request of the same sender had its source and id before."""

    code = "repeated-id"
    title = "The id was used before, for something else"


REFUSALS = (
    NotAllowedError,
    UnreadableRequestError,
    TooLargeError,
    TooManyOpenJobsError,
    RepeatedIdError,
)
"""All there are: every other error is trouble of ours, and the request is tried again."""

TROUBLE = (*DATABASE_TROUBLE, psycopg.InternalError, psycopg.ProgrammingError)
"""What no request can be the cause of: a database that is away, full or read-only, or that lacks a
table or a grant of ours. It is the same for the next one, and goes away when somebody mends it."""
