"""Node with the packages of tests/node, installed once per machine from its lock file."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

_PACKAGES = Path(__file__).parents[1] / "node"
_OF_THE_SYSTEM = {
    "NPM_CONFIG_GLOBALCONFIG": Path("/etc/npmrc"),
    "NODE_EXTRA_CA_CERTS": Path("/etc/ssl/certs/ca-certificates.crt"),
}
_PROGRAMS = Path(sys.executable).parent  # node and npm came with the tests' requirements


def node_folder(folder: Path) -> Path:
    """Make ``folder``, in which programs find the packages; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    modules = folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(_installed() / "node_modules", target_is_directory=True)
    return folder


def run_node(
    program: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, in ``folder`` where one is named."""
    return subprocess.run(
        [str(_PROGRAMS / "node"), str(program), *arguments],
        env={**_environment(), **(environment or {})},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _environment() -> dict[str, str]:
    path = f"{_PROGRAMS}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = {**os.environ, "PATH": path}
    # This npm is none of the system's: tell it of the system's settings and authorities.
    for name, file in _OF_THE_SYSTEM.items():
        if file.exists():
            environment.setdefault(name, str(file))
    return environment


def _installed() -> Path:
    """Return where the packages are; several test processes may ask at once."""
    lock = (_PACKAGES / "package-lock.json").read_bytes()
    place = Path(
        tempfile.gettempdir(), f"keywright-node-{os.getuid()}-{sha256(lock).hexdigest()[:16]}"
    )
    if place.exists():
        return place
    unfinished = Path(tempfile.mkdtemp(prefix=f"{place.name}-"))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_PACKAGES / name, unfinished)
    done = subprocess.run(
        [str(_PROGRAMS / "npm"), "ci", "--ignore-scripts", "--fetch-retries=1"],
        cwd=unfinished,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"npm ci failed: {done.stderr.strip()}")
    try:
        unfinished.rename(place)
    except OSError:
        shutil.rmtree(unfinished)  # another was faster
    return place
