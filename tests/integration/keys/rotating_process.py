"""A process that uses or rotates keys, to be run beside others, or killed.

Run as ``python -m tests.integration.keys.rotating_process TASK CONNINFO ROOT_KEY ORGANIZATION JOB``
it says ``ready``, waits for a line, and does its task.
"""

import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.integration.jobs.workbench import Workbench
from workers.contract import RotateMasterKey
from workers.contract.keys import RotationOutcome
from workers.database.pool import connect, open_pool
from workers.jobs.running import RunningJob
from workers.keys.handlers import rotate_master_key
from workers.keys.keyring import KeyRing
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.file import FileRootKey
from workers.keys.rotation import rotate

ROOT = Path(__file__).parents[3]


class RotatingProcess:
    """The process, as its parent sees it."""

    def __init__(
        self, task: str, conninfo: str, root_key: Path, organization_id: int, job_id: int = 0
    ) -> None:
        arguments = [task, conninfo, str(root_key), str(organization_id), str(job_id)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def says(self) -> str:
        """Wait for its next line."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def go(self) -> None:
        """Let it do its task."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """End it at once, by SIGKILL."""
        self._process.kill()
        self._process.communicate()


class StoppingRootKey(FileRootKey):
    """Says ``between`` and waits for a line when it is to unwrap: the proof of a rotation."""

    def unwrap(self, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
        """Stop after the first commit of a rotation, and before the second."""
        print("between", flush=True)  # noqa: T201
        sys.stdin.readline()
        return super().unwrap(wrapped, context=context)


def _use_the_first_key(conninfo: str, root_key: Path, organization_id: int) -> None:
    with open_pool(conninfo, size=4, name="keys") as pool, ThreadPoolExecutor(4) as threads:
        ring = KeyRing(pool, RootKeys(FileRootKey(root_key)))
        keys = list(threads.map(lambda _: ring.active_key(organization_id), range(16)))
    print(*{key.number for key in keys}, flush=True)  # noqa: T201


def _rotate(conninfo: str, root_keys: RootKeys, organization_id: int) -> None:
    with connect(conninfo, name="rotation") as connection:
        rotate(
            connection,
            root_keys,
            organization_id=organization_id,
            expected_number=1,
            actor="the one that dies",
            reason="a test",
        )


def _do_job(conninfo: str, root_keys: RootKeys, job_id: int) -> None:
    def handle(request: RotateMasterKey, job: RunningJob) -> RotationOutcome:
        return rotate_master_key(request, job, root_keys=root_keys)

    with open_pool(conninfo, size=4, name="ledger") as ledger:
        Workbench(ledger, ledger).execution({RotateMasterKey: handle}).execute(job_id)


def _main(task: str, conninfo: str, root_key: Path, organization_id: int, job_id: int) -> None:
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    if task == "first":
        _use_the_first_key(conninfo, root_key, organization_id)
    elif task == "rotate":
        _rotate(conninfo, RootKeys(StoppingRootKey(root_key)), organization_id)
    else:
        _do_job(conninfo, RootKeys(StoppingRootKey(root_key)), job_id)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
