"""Finding and opening files; no folder can make a reader wait, loop or run out of memory."""

import os
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG

from workers.certificates.reading.found import Fault, IgnoredFile


class FileTooLargeError(Exception):
    """The file has more bytes than are read."""


def files_in(folder: Path) -> Iterator[Path | IgnoredFile | Fault]:
    """Yield the regular files in ``folder`` and its subfolders, in the order of their names.

    Hidden ones are passed over; symbolic links and devices are ignored and said so; a folder that
    cannot be opened is a fault.
    """
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        try:
            if path.is_symlink() and path != folder:
                yield IgnoredFile(source_name(path), "this is a symbolic link")
            elif path.is_dir():
                visible = [each for each in path.iterdir() if not each.name.startswith(".")]
                waiting += sorted(visible, reverse=True)
            elif path.is_file():
                yield path
            else:
                yield IgnoredFile(source_name(path), "this is no regular file")
        except OSError as error:
            yield unreadable(path, error)


def read_named_file(path: Path, *, max_bytes: int) -> bytes:
    """Return what a file that a person named holds; pipes are welcome.

    Raises:
        OSError: it cannot be read.
        FileTooLargeError: it holds more than ``max_bytes``.
    """
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise FileTooLargeError
    return data


def read_found_file(path: Path, *, max_bytes: int) -> bytes:
    """Return what a file found in a folder holds, provided that it is a regular file.

    Raises:
        OSError: it cannot be read, or turned into something else meanwhile.
        FileTooLargeError: it holds more than ``max_bytes``.
    """
    # A pipe that took the place of the file would block on opening.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not S_ISREG(status.st_mode):
            raise OSError("no regular file")
        if status.st_size > max_bytes:
            raise FileTooLargeError
        return file.read(max_bytes)


def source_name(path: Path) -> str:
    """Return a file's name as text that can be printed and stored, whatever its bytes are."""
    return os.fsencode(path).decode("utf-8", errors="replace")


def unreadable(path: Path, error: OSError) -> Fault:
    """Return the fault of a file or folder that cannot be read."""
    return Fault(
        source=source_name(path),
        what=f"it cannot be read ({error.strerror or error})",
        how_to_fix="check the path and its permissions",
    )
