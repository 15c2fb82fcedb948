"""No root key: a process without one does everything but encrypt and decrypt."""

from collections.abc import Mapping

from workers.errors import InvalidRequestError


class AbsentRootKey:
    """Refuses, with the reason why there is none."""

    identifier = "absent"

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def wrap(self, key: bytes, *, context: Mapping[str, str]) -> bytes:  # noqa: ARG002
        """Refuse.

        Raises:
            InvalidRequestError: always.
        """
        raise InvalidRequestError(self._reason)

    def unwrap(self, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:  # noqa: ARG002
        """Refuse.

        Raises:
            InvalidRequestError: always.
        """
        raise InvalidRequestError(self._reason)
