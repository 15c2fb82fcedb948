"""Where the embedded server keeps what: its files, locks and socket. Nothing is started here."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from workers.errors import PermanentError

PORT = 5432
"""Part of the socket's name; nothing listens on a network."""

_SOCKET = f".s.PGSQL.{PORT}"
_SOCKET_PATH_LIMIT = 107  # bytes; unix(7), sun_path without its closing zero


class DataFolderError(PermanentError):
    """The data folder cannot be used as it is; the text says which part and what to change."""

    code = "data-folder"
    title = "The data folder cannot be used"


@dataclass(frozen=True)
class Layout:
    """The files of one embedded server; ``data_dir`` is absolute and without symbolic links."""

    data_dir: Path

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.data_dir / "postgres"

    @property
    def unfinished_prefix(self) -> str:
        """How the names of clusters in the making begin."""
        return f"{self.cluster.name}.new-"

    @property
    def users_lock(self) -> Path:
        """Locked shared by every process that uses the server, exclusively while it is stopped."""
        return self.data_dir / "postgres.lock"

    @property
    def guardian_lock(self) -> Path:
        """Locked exclusively by the guardian, or by the one process that is about to start it."""
        return self.data_dir / "postgres.guardian.lock"

    @property
    def log(self) -> Path:
        """What the server and its guardian had to say."""
        return self.data_dir / "postgres.log"

    @property
    def socket_directory(self) -> Path:
        """The folder of the unix socket, beside the data wherever a socket path may be that long.

        The other place is a fixed one, whatever ``TMPDIR`` says: all processes must agree on it.
        libpq reads a comma as the start of a second host.
        """
        beside = self.data_dir / "run"
        if "," not in str(beside) and len(os.fsencode(beside / _SOCKET)) <= _SOCKET_PATH_LIMIT:
            return beside
        digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:24]
        return Path("/tmp") / f"keywright-{digest}"  # noqa: S108 - made 0700, its owner verified

    @property
    def socket(self) -> Path:
        return self.socket_directory / _SOCKET

    @property
    def owner(self) -> int | None:
        """The user id that the cluster belongs to; None while there is no cluster."""
        return self.cluster.stat().st_uid if (self.cluster / "PG_VERSION").exists() else None

    def has_private_socket_directory(self) -> bool:
        """Whether nobody but the owner of the data can have put a socket there."""
        try:
            status = self.socket_directory.lstat()
        except FileNotFoundError:
            return False
        return (
            stat.S_ISDIR(status.st_mode)
            and status.st_uid == self.owner
            and not status.st_mode & 0o077
        )

    def make_socket_directory(self, owner: int) -> None:
        """Create the folder of the socket, for ``owner`` alone.

        Raises:
            DataFolderError: the name is taken by something that is not ours.
        """
        directory = self.socket_directory
        directory.mkdir(mode=0o700, exist_ok=True)
        status = directory.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {owner, os.geteuid()}:
            raise DataFolderError(
                f"{directory} belongs to someone else; remove it, or choose another data folder"
                " with KEYWRIGHT_DATA_DIR."
            )
        if status.st_uid != owner:
            os.chown(directory, owner, -1)
        directory.chmod(0o700)
