"""The embedded server as its users see it: opened, shared, left."""

import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.integration.database.data_folder import DataFolder, eventually
from workers.database.embedded import open_embedded
from workers.database.layout import DataFolderError
from workers.database.pool import DatabaseUnavailableError


def test_the_first_to_open_finds_an_empty_database_that_is_its_own(folder: DataFolder) -> None:
    with (
        open_embedded(folder.path) as server,
        psycopg.connect(server.conninfo, autocommit=True) as connection,
    ):
        row = connection.execute(
            "SELECT current_database(), current_user, rolsuper, rolcreatedb,"
            " pg_encoding_to_char(encoding), datlocale, pg_get_userbyid(datdba),"
            " current_setting('data_checksums'), current_setting('max_connections')"
            " FROM pg_roles, pg_database"
            " WHERE rolname = current_user AND datname = current_database()"
        ).fetchone()
        connection.execute("CREATE SCHEMA something")
    assert row == (
        *("keywright", "keywright", False, True),
        *("UTF8", "C.UTF-8", "keywright", "on", "200"),
    )


def test_data_survive_the_server(folder: DataFolder) -> None:
    with open_embedded(folder.path) as server, psycopg.connect(server.conninfo) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    assert not folder.processes()
    with open_embedded(folder.path) as server, psycopg.connect(server.conninfo) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_second_process_joins_the_running_server_and_keeps_it_running(folder: DataFolder) -> None:
    first = folder.start_user()
    start = first.query("SELECT pg_postmaster_start_time()")
    second = folder.start_user()
    assert second.query("SELECT pg_postmaster_start_time()") == start
    first.leave()
    assert second.query("SELECT pg_postmaster_start_time()") == start
    second.leave()
    assert not folder.processes()


def test_processes_that_open_at_the_same_moment_start_one_server(folder: DataFolder) -> None:
    users = [folder.start_user() for _ in range(4)]
    starts = {str(user.query("SELECT pg_postmaster_start_time()")) for user in users}
    assert len(starts) == 1
    assert folder.server()


def test_who_opens_while_the_last_one_leaves_gets_a_server(folder: DataFolder) -> None:
    first = folder.start_user()
    first.query("CREATE TABLE kept AS SELECT 42 AS answer")
    for _ in range(5):
        second = folder.start_user()
        first.leave()
        assert second.query("SELECT answer FROM kept") == [(42,)]
        assert folder.server()
        first = second


def test_leaving_twice_is_leaving_once(folder: DataFolder) -> None:
    with open_embedded(folder.path) as stays:
        leaves = open_embedded(folder.path)
        leaves.close()
        leaves.close()
        with psycopg.connect(stays.conninfo) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_nothing_listens_on_a_network(folder: DataFolder) -> None:
    with open_embedded(folder.path):
        descriptors = Path(f"/proc/{folder.server()}/fd").iterdir()
        sockets = {str(descriptor.readlink()) for descriptor in descriptors}
        unix, network = (
            {f"socket:[{inode}]" for inode in _inodes(tables)}
            for tables in ({"unix": 6}, {"tcp": 9, "tcp6": 9, "udp": 9, "udp6": 9})
        )
    assert sockets & unix
    assert not sockets & network


def _inodes(tables: dict[str, int]) -> set[str]:
    """Read the inode column of tables in /proc/net, given the number of that column."""
    return {
        line.split()[column]
        for table, column in tables.items()
        if (path := Path("/proc/net", table)).exists()
        for line in path.read_text().splitlines()[1:]
    }


def test_no_folder_on_the_way_changes_its_mode_or_owner(
    make_folder: Callable[[str], DataFolder], tmp_path: Path
) -> None:
    (tmp_path / "private").mkdir(mode=0o700)
    folder = make_folder("private/data")
    parents = list(folder.path.parents)
    before = [(parent.stat().st_mode, parent.stat().st_uid) for parent in parents]
    with open_embedded(folder.path):
        assert [(parent.stat().st_mode, parent.stat().st_uid) for parent in parents] == before


def test_only_the_owner_reaches_the_data_and_the_socket(folder: DataFolder) -> None:
    with open_embedded(folder.path):
        layout = folder.layout
        private = (folder.path, layout.cluster, layout.socket_directory, layout.log)
        for path in (*private, layout.users_lock, layout.guardian_lock):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("/".join(["a folder with a long name"] * 8), id="long"),
        pytest.param("one, two", id="comma"),
        pytest.param('it\'s a "name" with = and \\ in it', id="quotes"),
        pytest.param("Schlüssel ключи", id="not ASCII"),
    ],
)
def test_any_name_of_a_folder_will_do(make_folder: Callable[[str], DataFolder], name: str) -> None:
    folder = make_folder(name)
    with open_embedded(folder.path) as server, psycopg.connect(server.conninfo) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not folder.layout.socket_directory.exists()


def test_a_relative_path_and_a_link_lead_to_the_same_server(
    folder: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(folder.path)
    monkeypatch.chdir(tmp_path)
    with (
        open_embedded(Path("data")) as relative,
        open_embedded(Path("link")) as link,
        open_embedded(folder.path) as absolute,
    ):
        assert relative.conninfo == link.conninfo == absolute.conninfo


def test_a_place_for_the_socket_that_somebody_else_prepared_is_refused(
    make_folder: Callable[[str], DataFolder], tmp_path: Path
) -> None:
    folder = make_folder("/".join(["a folder with a long name"] * 8))
    directory = folder.layout.socket_directory
    assert not directory.is_relative_to(folder.path)
    (tmp_path / "theirs").mkdir()
    directory.symlink_to(tmp_path / "theirs")
    try:
        with pytest.raises(DataFolderError, match="belongs to someone else"):
            open_embedded(folder.path)
    finally:
        directory.unlink()
    assert not list((tmp_path / "theirs").iterdir())
    open_embedded(folder.path).close()


def test_a_server_that_cannot_start_says_why_and_keeps_nobody_waiting(folder: DataFolder) -> None:
    open_embedded(folder.path).close()
    settings = folder.layout.cluster / "postgresql.auto.conf"
    settings.write_text("no_such_setting = 1\n")
    begun = time.monotonic()
    with pytest.raises(DatabaseUnavailableError, match="no_such_setting"):
        open_embedded(folder.path)
    assert time.monotonic() - begun < 20
    settings.write_text("")
    open_embedded(folder.path).close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderError, match="KEYWRIGHT_DATA_DIR"):
        open_embedded(tmp_path / "file" / "data")


def test_a_folder_removed_in_use_is_made_anew(folder: DataFolder) -> None:
    first = folder.start_user()
    first.query("CREATE TABLE lost ()")
    former_server = folder.server()
    eventually(lambda: is_removed(folder.path))
    with open_embedded(folder.path) as new, psycopg.connect(new.conninfo) as connection:
        assert connection.execute("SELECT to_regclass('lost')").fetchone() == (None,)
        assert not Path(f"/proc/{former_server}/cwd").exists()
        first.leave()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def is_removed(path: Path) -> bool:
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists()
