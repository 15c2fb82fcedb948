"""The two roots of every error keywright raises on purpose.

Nothing here knows a library or a feature. A feature derives one class per thing that a caller
handles differently and translates library errors at its boundary, ``from error``.
"""

from typing import Any, ClassVar


class KeywrightError(Exception):
    """Something went wrong that a person can act on; its text is one sentence saying how.

    The text is shown, logged and stored, so it never holds a secret, an address or key material.
    """

    code: ClassVar[str] = "error"
    """Stable name of the kind of problem, used in ``urn:keywright:problem:<code>``."""

    title: ClassVar[str] = "Something went wrong"
    """The same for every occurrence of this kind (RFC 9457 §3.1.3)."""

    def problem(self, instance: str) -> dict[str, Any]:
        """Describe this occurrence as a problem document (RFC 9457) about ``instance``."""
        return {
            "type": f"urn:keywright:problem:{self.code}",
            "title": self.title,
            # As a document must be able to hold it, whatever a server may have answered.
            "detail": "".join(each if each.isprintable() else "\ufffd" for each in str(self)),
            "instance": instance,
        }


class PermanentError(KeywrightError):
    """Trying again cannot help: the job fails at once with this reason."""

    code = "permanent"
    title = "The request cannot be carried out"


class TransientError(KeywrightError):
    """Trying again later may help: the job is retried as its kind allows."""

    code = "transient"
    title = "Something needed is not available right now"


class InvalidRequestError(PermanentError):
    """The input is wrong; the text names the field and the fix. Nothing was changed."""

    code = "invalid-request"
    title = "The request is not valid"


class NotFoundError(PermanentError):
    """What was asked for is not there, or not there for the one who asks."""

    code = "not-found"
    title = "There is no such thing"


class ConflictError(PermanentError):
    """The request contradicts what is there already. Nothing was changed."""

    code = "conflict"
    title = "The request contradicts the present state"


class NotAllowedError(PermanentError):
    """Who asks may not, or what is asked for is not there: one answer for both."""

    code = "not-allowed"
    title = "The request is not allowed"


class TooLargeError(PermanentError):
    """The request has more bytes than it may. Nothing was changed."""

    code = "too-large"
    title = "The request is too large"


class TooManyOpenJobsError(TransientError):
    """The organization has as many unfinished jobs of requesters as it may."""

    code = "too-many-open-jobs"
    title = "The organization has too many unfinished jobs"
