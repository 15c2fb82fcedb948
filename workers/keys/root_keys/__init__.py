"""Root keys: they wrap master keys and live outside Postgres. One module per provider."""

from workers.keys.root_keys.opening import open_root_keys
from workers.keys.root_keys.root_key import (
    RootKey,
    RootKeys,
    RootKeyUnavailableError,
    UnknownRootKeyError,
    WrappedKeyError,
    wrapping_context,
)

__all__ = [
    "RootKey",
    "RootKeyUnavailableError",
    "RootKeys",
    "UnknownRootKeyError",
    "WrappedKeyError",
    "open_root_keys",
    "wrapping_context",
]
