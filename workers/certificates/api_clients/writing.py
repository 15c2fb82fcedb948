"""Writing a client's files: for its owner alone, all of them or none."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from workers.errors import ConflictError, InvalidRequestError


def write_files(folder: Path, files: Mapping[str, bytes], *, replace: bool) -> None:
    """Write files into a folder, which is made if it is not there; others cannot read them.

    Raises:
        ConflictError: some are there already, and are not to be replaced; each is listed.
        InvalidRequestError: they cannot be written there.
    """
    unfinished: dict[str, Path] = {}
    placed: list[Path] = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in files.items():
            unfinished[name] = _write_apart(folder, content)
        for name, path in unfinished.items():
            if replace:
                path.replace(folder / name)
            else:
                os.link(path, folder / name)  # unlike a rename, replaces nothing
                placed.append(folder / name)
        placed.clear()
    except FileExistsError:
        taken = sorted(name for name in files if os.path.lexists(folder / name))
        taken = [name for name in taken if folder / name not in placed]
        raise ConflictError(
            f"{folder} has {', '.join(taken) or 'a file in its place'} already; nothing was"
            " written. Name another folder, or replace them (--replace)."
        ) from None
    except OSError as error:
        raise InvalidRequestError(
            f"Cannot write into {folder} ({error.strerror}); name a folder that can be written to."
        ) from error
    finally:
        for path in (*placed, *unfinished.values()):
            path.unlink(missing_ok=True)


def _write_apart(folder: Path, content: bytes) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=".unfinished-", dir=folder)  # is 0600
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    return Path(name)
