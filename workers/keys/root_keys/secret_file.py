"""Reading small files with secrets, and refusing those that others may read."""

import os
import stat
from pathlib import Path
from shlex import quote

from workers.errors import InvalidRequestError

_MOST_BYTES = 4096


def read_secret_file(path: Path, *, variable: str, what: str) -> bytes:
    """Return the content of a file that only its owner may read, or that is mounted read-only.

    ``what`` says for the errors what it should hold, such as "the root key"; ``variable`` is the
    setting that names the file.

    Raises:
        InvalidRequestError: it is missing, cannot be read, is open to others or is too long.
    """
    try:
        # A pipe or a device would keep us waiting, or worse; it opens at once, and is refused.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise InvalidRequestError(
            f"{variable}: there is no file {path} to read {what} from; put it back there, or"
            " correct the path."
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no path may look so"
        raise InvalidRequestError(
            f"{variable}: cannot open {path} ({reason}); make it readable for this user."
        ) from None
    try:
        # Asked of the open file: what the name leads to may change meanwhile.
        _check(descriptor, path, variable, what)
        content = os.read(descriptor, _MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MOST_BYTES:
        raise InvalidRequestError(
            f"{variable}: {path} has more than {_MOST_BYTES} bytes; name the file that holds {what}"
            " and nothing else."
        )
    return content


def _check(descriptor: int, path: Path, variable: str, what: str) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidRequestError(
            f"{variable}: {path} is no regular file; name the file that holds {what}."
        )
    read_only = bool(os.fstatvfs(descriptor).f_flag & os.ST_RDONLY)
    danger = who_else(stat.S_IMODE(status.st_mode), mounted_read_only=read_only)
    if danger is not None:
        raise InvalidRequestError(
            f"{variable}: others may {danger} {path}, which holds {what}; run"
            f" `chmod 600 {quote(str(path))}`, or mount it read-only as a container's secret."
        )


def who_else(mode: int, *, mounted_read_only: bool) -> str | None:
    """Say what others than the owner may do with a file: "write", "read" or, with None, nothing.

    Orchestrators hand secrets to containers as files of another owner that everybody in the
    container may read (0444, in Kubernetes also 0440 or 0644), on a mount that is read-only. There,
    the mount keeps strangers out, and the mode says nothing. Anywhere else, a key that others may
    read is no secret. What others may write they may exchange, so that is refused everywhere.
    """
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "write"
    if mode & (stat.S_IRGRP | stat.S_IROTH) and not mounted_read_only:
        return "read"
    return None
