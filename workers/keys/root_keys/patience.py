"""Asking a root key that is away once, where many keys would have it asked again and again."""

from collections.abc import Mapping

from workers.keys.root_keys.root_key import RootKey, RootKeys, RootKeyUnavailableError


def asked_once(root_keys: RootKeys) -> RootKeys:
    """Return the same root keys, of which a former one that was away once is not asked again.

    Each such question may take seconds to fail. Make new ones for another run.
    """
    return RootKeys(root_keys.current, [_AskedOnce(each) for each in root_keys.former])


class _AskedOnce:
    def __init__(self, root_key: RootKey) -> None:
        self._root_key = root_key
        self._trouble: RootKeyUnavailableError | None = None

    @property
    def identifier(self) -> str:
        self._raise_trouble()
        try:
            return self._root_key.identifier
        except RootKeyUnavailableError as error:
            self._trouble = error
            raise

    def wrap(self, key: bytes, *, context: Mapping[str, str]) -> bytes:
        return self._root_key.wrap(key, context=context)

    def unwrap(self, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
        self._raise_trouble()
        try:
            return self._root_key.unwrap(wrapped, context=context)
        except RootKeyUnavailableError as error:
            self._trouble = error
            raise

    def _raise_trouble(self) -> None:
        if self._trouble is not None:
            raise RootKeyUnavailableError(str(self._trouble))
