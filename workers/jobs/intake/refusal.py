"""Why a request is refused; nothing was changed, and the text repeats nothing of it."""

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
