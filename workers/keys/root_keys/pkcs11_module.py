"""The library of a token (a PKCS #11 module) in this process: loaded once, one caller at a time."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workers.errors import InvalidRequestError

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib as Library  # noqa: N812

_locks: dict[
    int, threading.RLock
] = {}  # by process: a lock that a fork copied may be held for ever
_initialized_by: dict[Path, int] = {}  # the process that did, by path of the module


@contextmanager
def module_lock() -> Iterator[None]:
    """Let one thread of this process at a time call tokens.

    The binding initializes modules as those of programs with a single thread.
    """
    with _locks.setdefault(os.getpid(), threading.RLock()):
        yield


def load_module(path: Path, *, variable: str) -> "Library":
    """Return the module, initialized for this process; called under the lock.

    Raises:
        InvalidRequestError: there is no such module.
        PKCS11Error: it does not initialize.
    """
    import pkcs11  # noqa: PLC0415  # an extra
    from pkcs11.exceptions import PKCS11Error  # noqa: PLC0415

    known = str(path) in pkcs11._loaded  # noqa: SLF001
    try:
        module = pkcs11.lib(str(path))
    except PKCS11Error as error:
        if known or type(error) is not PKCS11Error:
            raise
        raise InvalidRequestError(
            f"{variable}: {path} cannot be loaded as a PKCS #11 module; correct module-path, or"
            " install the software of the token."
        ) from None
    if _initialized_by.setdefault(path, os.getpid()) != os.getpid():
        # A child has to initialize for itself (PKCS #11 usage guide 2.40 §2.5.2); what it inherited
        # belongs to its parent.
        restart(module)
        _initialized_by[path] = os.getpid()
    return module


def restart(module: "Library") -> None:
    """Initialize the module again, so that it looks for tokens anew; all sessions are gone then.

    Raises:
        PKCS11Error: it does not initialize.
    """
    from pkcs11.exceptions import PKCS11Error  # noqa: PLC0415

    with suppress(PKCS11Error):  # a module may have noticed the fork, or the loss, by itself
        module.finalize()
    module.initialize()
