"""Who runs the embedded server: PostgreSQL refuses to be run by root.

No user is created and no folder on the way to the data changes its mode. What an identity cannot
do on this machine is found out by trying.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workers.database.layout import DataFolderError, Layout
from workers.errors import PermanentError

_NOBODY = 65534
_PROBE_TIMEOUT_SECONDS = 20


class NoIdentityError(PermanentError):
    """Root found no unprivileged identity to run PostgreSQL as."""

    code = "no-identity"
    title = "PostgreSQL cannot be run by root"


@dataclass(frozen=True)
class Identity:
    """An unprivileged user, and the command that becomes that user and executes what follows."""

    uid: int
    """Owner of the files, as seen by everybody else."""

    prefix: tuple[str, ...] = ()

    def own(self, directory: Path) -> None:
        """Give ``directory`` and all in it to this identity; the folder itself comes last.

        So a folder that has the right owner has it all the way down, whenever we were killed.
        """
        if directory.stat().st_uid == self.uid:
            return
        for _, folders, files, descriptor in os.fwalk(directory, topdown=False):
            for name in folders + files:
                os.chown(name, self.uid, -1, dir_fd=descriptor, follow_symlinks=False)
        os.chown(directory, self.uid, -1)


def choose_identity(layout: Layout, program: Path) -> Identity:
    """Find who can run ``program`` on the data of ``layout``; data keep the owner they have.

    Raises:
        DataFolderError: the data belong to another user, whom only root could become.
        NoIdentityError: we are root, and this machine allows no other identity.
    """
    me = os.geteuid()
    if me != 0:
        if layout.owner not in {None, me}:
            raise DataFolderError(
                f"{layout.cluster} belongs to user id {layout.owner}; run keywright as that user,"
                " or choose another data folder with KEYWRIGHT_DATA_DIR."
            )
        return Identity(uid=me)
    for identity in _candidates(layout.owner):
        if _works(identity, program, layout.data_dir):
            return identity
    raise NoIdentityError(
        "PostgreSQL refuses to run as root, and neither a user namespace (unshare) nor another user"
        f" id (setpriv) could be used on {layout.data_dir}; run keywright as an ordinary user,"
        " or name a server with KEYWRIGHT_DATABASE_URL."
    )


def _candidates(owner: int | None) -> Iterator[Identity]:
    """Yield the identities that root may take for data of ``owner``, the least invasive first."""
    if owner in {None, 0}:
        # Outside its user namespace the server is still root, but without any privilege.
        unshare = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")
        yield Identity(uid=0, prefix=unshare)
    # The last one is what containers commonly grant; it is asked for only if nothing less will do.
    for capability in (None, "dac_read_search", "dac_override"):
        yield _other_user(owner or _NOBODY, capability)


def _other_user(uid: int, capability: str | None) -> Identity:
    """Become ``uid``, keeping at most one capability: to pass folders like a 0700 /root.

    The signal that is to come when our parent dies is lost with a change of user (prctl(2)), so
    setpriv sets it again. PostgreSQL asks access(2) about its own program, which would ignore the
    capability if it were not for the secure bit.
    """
    become = f"--reuid={uid} --regid={uid} --clear-groups --no-new-privs --pdeathsig=INT".split()
    if capability is None:
        return Identity(uid=uid, prefix=("setpriv", *become, "--inh-caps=-all", "--"))
    keep = [
        f"--{which}=-all,+{capability}" for which in ("inh-caps", "ambient-caps", "bounding-set")
    ]
    return Identity(
        uid=uid, prefix=("setpriv", *become, *keep, "--securebits=+no_setuid_fixup", "--")
    )


def _works(identity: Identity, program: Path, directory: Path) -> bool:
    """Whether ``identity`` can run ``program`` and pass through ``directory``."""
    if shutil.which(identity.prefix[0]) is None:
        return False
    script = 'cd "$2" && "$1" --version'
    try:
        probe = subprocess.run(  # noqa: S603 - fixed words and our own paths
            [*identity.prefix, "/bin/sh", "-c", script, "sh", program, directory],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PROBE_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0
