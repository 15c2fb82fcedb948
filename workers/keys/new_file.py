"""Writing a file that only its owner may read, whole or not at all, and never over another."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.errors import ConflictError, InvalidRequestError


@contextmanager
def new_private_file(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Yield what takes the content, once; the file has its name when the context ends well.

    That a file can be made there is known before the caller does anything else.

    Raises:
        ConflictError: there is a file of this name.
        InvalidRequestError: the folder is not there, or cannot be written to.
    """
    if os.path.lexists(path):
        raise _in_the_way(path)
    with _translated(path):
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # is 0600
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:

            def write(content: bytes) -> None:
                with _translated(path):
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())

            yield write
        with _translated(path):
            _give_name(unfinished, path)
    finally:
        unfinished.unlink()


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise _in_the_way(path) from None
    except OSError as error:
        raise InvalidRequestError(
            f"Cannot write {path} ({error.strerror}); name a file in a folder that can be written"
            " to."
        ) from error


def _give_name(unfinished: Path, path: Path) -> None:
    try:
        # A link, unlike a rename, replaces nothing.
        os.link(unfinished, path)
    except PermissionError:
        # What a file system says that has no links, such as that of most memory sticks: link(2).
        _copy(unfinished, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _copy(unfinished: Path, path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(unfinished.read_bytes())
        file.flush()
        os.fsync(descriptor)


def _in_the_way(path: Path) -> ConflictError:
    return ConflictError(f"{path} exists already and is not overwritten; name another file.")
