from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.announcements.catalogue import announced_as_the_catalogue_says
from tests.integration.jobs.workbench import Workbench
from tests.integration.keys.keyholder import Keyholder, keyholder
from workers.database.pool import Connection, Pool, open_pool
from workers.jobs.execution import Handler
from workers.keys.handlers import rotate_master_key
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.file import FileRootKey


@pytest.fixture
def root_key_path(tmp_path: Path) -> Path:
    """Where the root key is, from its first use on."""
    return tmp_path / "root.key"


@pytest.fixture
def root_keys(root_key_path: Path) -> RootKeys:
    """One root key, in a file."""
    return RootKeys(FileRootKey(root_key_path, create_if_missing=True))


@pytest.fixture
def pool(conninfo: str) -> Iterator[Pool]:
    """The connections of a process that uses keys."""
    with open_pool(conninfo, size=4, name="keys") as pool:
        yield pool


@pytest.fixture(autouse=True)
def _as_the_catalogue_says(conninfo: str) -> Iterator[None]:
    """Check what a test has had announced."""
    with announced_as_the_catalogue_says(conninfo):
        yield


@pytest.fixture
def acme(connection: Connection, root_keys: RootKeys) -> Keyholder:
    """An organization without any key."""
    return keyholder(connection, root_keys)


@pytest.fixture
def workbench(conninfo: str) -> Iterator[Workbench]:
    """A worker's tools, with one connection for its handlers."""
    with (
        open_pool(conninfo, size=4, name="ledger", index_only=True) as ledger,
        open_pool(conninfo, size=1, name="worker") as pool,
    ):
        workbench = Workbench(ledger, pool)
        yield workbench
        workbench.keeper.stop()


@pytest.fixture
def rotate(root_keys: RootKeys) -> Handler:
    """The handler of master_key.rotate, with its root key."""
    return lambda request, job: rotate_master_key(request, job, root_keys=root_keys)
