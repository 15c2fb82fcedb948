"""Putting metadata where a web server hands it out."""

import os
import tempfile
from pathlib import Path

from workers.errors import InvalidRequestError

PUBLIC = 0o644


def replace_file(path: Path, content: bytes) -> None:
    """Write a file that everybody may read, in place of the one that is there, whole or not at all.

    Raises:
        InvalidRequestError: it cannot be written there.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        unfinished = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.chmod(PUBLIC)
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InvalidRequestError(f"Cannot write {path} ({error.strerror}).") from error
