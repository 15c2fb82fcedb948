import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.database.data_folder import DataFolder


@pytest.fixture
def make_folder(tmp_path: Path) -> Iterator[Callable[[str], DataFolder]]:
    """Name data folders below the temporary one; what runs in them ends with the test."""
    folders: list[DataFolder] = []

    def make(name: str) -> DataFolder:
        folders.append(DataFolder(tmp_path.resolve() / name))
        return folders[-1]

    yield make
    for folder in folders:
        folder.end()


@pytest.fixture
def folder(make_folder: Callable[[str], DataFolder]) -> DataFolder:
    """Name a data folder that does not exist yet."""
    return make_folder("data")


@pytest.fixture
def without_namespaces(tmp_path: Path) -> dict[str, str]:
    """Make an environment in which the kernel seems to refuse user namespaces."""
    return {"PATH": _refusing(tmp_path / "bin", "unshare")}


@pytest.fixture
def without_identities(tmp_path: Path) -> dict[str, str]:
    """Make an environment in which root cannot become anybody else."""
    return {"PATH": _refusing(tmp_path / "bin", "unshare", "setpriv")}


def _refusing(directory: Path, *programs: str) -> str:
    directory.mkdir()
    for program in programs:
        (directory / program).write_text("#!/bin/sh\necho 'Operation not permitted' >&2\nexit 1\n")
        (directory / program).chmod(0o755)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"
