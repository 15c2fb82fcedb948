"""Putting a bundle where a listener reads it: whole or not at all, and only when it has changed.

``FOLDER/current`` is a symbolic link to one complete set of files; a new set takes its place in one
step. Whoever stops in between leaves the old one, and nothing that a listener would read.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from workers.certificates.mutual_tls.listener_files import AUTHORITIES, CURRENT
from workers.errors import InvalidRequestError

_SET = "bundle-"
_UNFINISHED = ".unfinished-"


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Let nobody else publish there meanwhile, so that what is newest stays.

    Raises:
        InvalidRequestError: the folder cannot be made or written to.
    """
    with _translated(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def current_authorities(folder: Path) -> bytes | None:
    """Return the authorities of the set that is there, if there is one."""
    try:
        return (folder / CURRENT / AUTHORITIES).read_bytes()
    except OSError:
        return None


def current_set(folder: Path) -> str | None:
    """Return the name of the set that is there, if there is one."""
    try:
        return (folder / CURRENT).readlink().name
    except OSError:
        return None


def publish(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Make these files the current set, unless they are; return whether anything changed.

    The caller holds ``exclusive``.

    Raises:
        InvalidRequestError: it cannot be written there.
    """
    name = _SET + _digest(files)
    former = current_set(folder)
    if former == name and _holds(folder / name, files):
        return False
    with _translated(folder):
        _clear(folder, keep={former} if former else set())
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder))
        for each, content in files.items():
            _write(unfinished / each, content)
        unfinished.chmod(0o755)  # listeners have users of their own; there are no secrets here
        _sync(unfinished)
        if (folder / name).exists():  # damaged by somebody
            (folder / name).rename(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder))
        unfinished.rename(folder / name)
        link = folder / f"{_UNFINISHED}link"
        link.symlink_to(name)
        link.replace(folder / CURRENT)
        _sync(folder)
        # A listener may be reading the former set.
        _clear(folder, keep={name, former} if former else {name})
    return True


def note(folder: Path, name: str, content: str) -> None:
    """Write a small file of our own beside the sets."""
    with _translated(folder):
        unfinished = folder / f"{_UNFINISHED}note"
        _write(unfinished, content.encode("ascii"))
        unfinished.replace(folder / name)


def _digest(files: Mapping[str, bytes]) -> str:
    whole = sha256()
    for name in sorted(files):
        for part in (name.encode("ascii"), files[name]):
            whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()[:32]


def _holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    try:
        return all((folder / name).read_bytes() == content for name, content in files.items())
    except OSError:
        return False


def _clear(folder: Path, *, keep: set[str]) -> None:
    for each in folder.iterdir():
        if each.name in keep or not each.name.startswith((_SET, _UNFINISHED)):
            continue
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
        os.fchmod(descriptor, 0o644)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidRequestError(
            f"Cannot write the bundle into {folder} ({error.strerror or error}); name a folder that"
            " can be written to."
        ) from error
