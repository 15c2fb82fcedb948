"""What a root key is to the rest of keywright, whoever provides it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from workers.errors import PermanentError, TransientError


class RootKeyUnavailableError(TransientError):
    """The provider of a root key cannot be reached, or refuses for now."""

    code = "root-key-unavailable"
    title = "The root key is not available"


class UnknownRootKeyError(PermanentError):
    """A master key is wrapped only under root keys that this process was not told of."""

    code = "unknown-root-key"
    title = "The root key of a master key is not configured here"


class WrappedKeyError(PermanentError):
    """A wrapped key does not open: damaged, or not of the organization and number it stands at."""

    code = "wrapped-key"
    title = "A wrapped master key cannot be unwrapped"


class RootKey(Protocol):
    """Wraps and unwraps 32-byte keys. ``context`` is authenticated with the key, and not stored."""

    @property
    def identifier(self) -> str:
        """Names the key for good, such as ``aws-kms:arn:…``; holds no secret.

        Raises:
            RootKeyUnavailableError: only the provider knows, and does not tell right now.
        """

    def wrap(self, key: bytes, *, context: Mapping[str, str]) -> bytes:
        """Return ``key`` wrapped.

        Raises:
            RootKeyUnavailableError: the provider does not do it right now.
        """

    def unwrap(self, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
        """Return the key that was wrapped with the same ``context``.

        Raises:
            WrappedKeyError: ``wrapped`` or ``context`` is not what it was.
            RootKeyUnavailableError: the provider does not do it right now.
        """


@dataclass(frozen=True)
class RootKeys:
    """The root keys this process may use: one to wrap with, and former ones to unwrap with."""

    current: RootKey
    former: Sequence[RootKey] = ()

    def get(self, identifier: str) -> RootKey | None:
        """Return the root key with this identifier, if it is one of them.

        Raises:
            RootKeyUnavailableError: it is none of those that can tell their identifier right now.
        """
        trouble: RootKeyUnavailableError | None = None
        for each in (self.current, *self.former):
            try:
                if each.identifier == identifier:
                    return each
            except RootKeyUnavailableError as error:
                trouble = error  # one that is away does not hide the others
        if trouble is not None:
            raise trouble
        return None


def wrapping_context(organization_id: int, key_number: int) -> dict[str, str]:
    """Return what binds a wrapped master key to its place."""
    return {"organization": str(organization_id), "key-number": str(key_number)}
