"""Who runs the embedded server: PostgreSQL refuses to be run by root.

No user is created, and no folder on the way to the data changes its mode or owner. What can be
done on this machine is found out by trying.
"""

import os
import pwd
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workers.database.layout import DataFolderError, Layout
from workers.errors import PermanentError

_PROBE_TIMEOUT_SECONDS = 20


class NoIdentityError(PermanentError):
    """PostgreSQL can be run neither as the present user nor as another one."""

    code = "no-identity"
    title = "PostgreSQL cannot be run by this user"


@dataclass(frozen=True)
class Identity:
    """An unprivileged user, and the command that becomes that user and executes what follows."""

    uid: int
    """Owner of the files, as everybody else sees it."""

    prefix: tuple[str, ...] = ()

    def own(self, directory: Path) -> None:
        """Give ``directory`` and all in it to this identity; the folder itself comes last.

        So a folder that has the right owner has it all the way down, even if we were killed here.
        """
        if directory.stat().st_uid == self.uid:
            return
        for _, folders, files, descriptor in os.fwalk(directory, topdown=False):
            for name in folders + files:
                os.chown(name, self.uid, -1, dir_fd=descriptor, follow_symlinks=False)
        os.chown(directory, self.uid, -1)


def choose_identity(layout: Layout, program: Path) -> Identity:
    """Find who can run ``program`` on the data of ``layout``; existing data keep their owner.

    Only data of root have to go to another user where nothing else is possible.

    Raises:
        DataFolderError: the data belong to another user, whom only root could become.
        NoIdentityError: this machine allows nothing that would work; the text has its reasons.
    """
    me, owner = os.geteuid(), layout.owner
    if me not in {0, owner} and owner is not None:
        raise DataFolderError(
            f"{layout.cluster} belongs to user id {owner}; run keywright as that user,"
            " or choose another data folder with KEYWRIGHT_DATA_DIR."
        )
    reasons = []
    for identity in _candidates(me, owner):
        reason = _refusal(identity, program, layout)
        if reason is None:
            return identity
        reasons.append(f"{(identity.prefix or ('it',))[0]} said “{reason}”")
    raise NoIdentityError(
        "PostgreSQL, which refuses root and users without a name, cannot be run here"
        f" ({'; '.join(reasons)});"
        " run keywright as an ordinary user, or name a server with KEYWRIGHT_DATABASE_URL."
    )


def _candidates(me: int, owner: int | None) -> Iterator[Identity]:
    """Yield what user ``me`` may become to work on data of ``owner``, the least invasive first."""
    nobody = _nobody()
    if me != 0:
        yield Identity(me)
    if owner in {None, me}:
        # Files see no change of user, and root is left without any privilege.
        user = (f"--map-user={nobody}", f"--map-group={nobody}")
        yield Identity(me, ("unshare", "--user", *user, "--"))
    if me == 0:
        # Containers commonly grant the last one, which is asked for only if nothing less will do.
        for capability in (None, "dac_read_search", "dac_override"):
            yield _other_user(owner or nobody, capability)


def _nobody() -> int:
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return 65534


def _other_user(uid: int, capability: str | None) -> Identity:
    """Become ``uid``, keeping at most one capability: to pass folders such as a 0700 /root.

    The signal that comes when our parent dies is lost with a change of user (prctl(2)): setpriv
    asks for it again. PostgreSQL checks its own program by access(2), which regards capabilities
    only with that secure bit.
    """
    become = f"--reuid={uid} --regid={uid} --clear-groups --no-new-privs --pdeathsig=INT"
    keep = "--inh-caps=-all"
    if capability is not None:
        sets = ("inh-caps", "ambient-caps", "bounding-set")
        keep = " ".join(f"--{name}=-all,+{capability}" for name in sets)
        keep += " --securebits=+no_setuid_fixup"
    return Identity(uid, ("setpriv", *become.split(), *keep.split(), "--"))


def _refusal(identity: Identity, program: Path, layout: Layout) -> str | None:
    """Try to run ``program`` in the data folder; return what was said if that fails.

    Creating a cluster takes a user with a name (initdb looks it up).
    """
    named = "id -un" if layout.owner is None else ":"
    script = f'{named} && cd "$1" && exec "$2" --version'
    try:
        probe = subprocess.run(  # noqa: S603 - fixed words and our own paths
            [*identity.prefix, "/bin/sh", "-c", script, "sh", layout.data_dir, program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=_PROBE_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if probe.returncode == 0:
        return None
    return (probe.stderr.strip().splitlines() or ["nothing"])[-1]
