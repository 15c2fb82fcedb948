"""Who runs the embedded server: for root somebody else, for everybody else themselves."""

import os
import signal
from pathlib import Path

import pytest

from tests.integration.database.data_folder import DataFolder, eventually
from workers.database.cluster import program
from workers.database.embedded import open_embedded
from workers.database.identity import NoIdentityError, choose_identity
from workers.database.layout import DataFolderError

NOBODY = 65534
ROOT = os.geteuid() == 0


def test_the_server_is_never_run_with_the_privileges_of_root(folder: DataFolder) -> None:
    folder.start_user().conninfo()
    status = Path(f"/proc/{folder.server()}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(fields["CapPrm"], 16) == 0


def test_where_namespaces_are_refused_another_user_runs_the_server(
    folder: DataFolder, without_namespaces: dict[str, str]
) -> None:
    folder.path.parent.chmod(0o700)
    parents = list(folder.path.parents)
    before = [(parent.stat().st_mode, parent.stat().st_uid) for parent in parents]
    user = folder.start_user(without_namespaces)
    user.query("CREATE TABLE kept AS SELECT 42 AS answer")
    server = Path(f"/proc/{folder.server()}")
    expected = NOBODY if ROOT else os.geteuid()
    assert server.stat().st_uid == expected
    assert folder.layout.cluster.stat().st_uid == expected
    assert folder.layout.socket_directory.stat().st_uid == expected
    assert folder.path.stat().st_uid == os.geteuid()
    assert [(parent.stat().st_mode, parent.stat().st_uid) for parent in parents] == before
    user.leave()
    assert not folder.processes()


def test_no_server_of_another_user_outlives_its_guardian(
    folder: DataFolder, without_namespaces: dict[str, str]
) -> None:
    folder.start_user(without_namespaces).conninfo()
    os.kill(folder.guardian(), signal.SIGKILL)
    eventually(lambda: not folder.processes())


def test_data_outlive_a_change_of_the_user_that_runs_the_server(
    folder: DataFolder, without_namespaces: dict[str, str]
) -> None:
    environments: list[dict[str, str]] = [{}, without_namespaces, {}]
    owners: list[int] = []
    for number, environment in enumerate(environments):
        user = folder.start_user(environment)
        user.query("CREATE TABLE IF NOT EXISTS kept (run integer)")
        assert user.query("INSERT INTO kept VALUES (1) RETURNING (SELECT count(*) FROM kept)") == [
            (number,)
        ]
        owners += {path.stat().st_uid for path in (folder.layout.cluster).rglob("*")}
        user.leave()
    assert owners == ([0, NOBODY, NOBODY] if ROOT else [os.geteuid()] * 3)


def test_root_without_another_identity_is_told_what_to_do(
    folder: DataFolder, without_identities: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.path.mkdir()
    monkeypatch.setenv("PATH", without_identities["PATH"])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(NoIdentityError, match=r"ordinary user.*KEYWRIGHT_DATABASE_URL"):
        choose_identity(folder.layout, program("postgres"))


def test_data_of_another_user_are_refused(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_embedded(folder.path).close()
    owner = folder.layout.owner
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(DataFolderError, match=f"belongs to user id {owner}"):
        open_embedded(folder.path)
