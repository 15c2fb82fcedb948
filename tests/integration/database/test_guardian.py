"""The embedded server when its users, its guardian, the server itself or all of them are killed."""

import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, LiteralString

import psycopg
import pytest

from tests.integration.database.data_folder import DataFolder, User, eventually
from tests.servers.ending import ended
from workers.database.cluster import program, server_command
from workers.database.embedded import open_embedded
from workers.database.identity import choose_identity


def keep_something(user: User) -> None:
    user.query("CREATE TABLE kept AS SELECT 42 AS answer")


def assert_kept(folder: DataFolder) -> None:
    with open_embedded(folder.path) as server, psycopg.connect(server.conninfo) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        assert folder.server()
    assert not folder.processes()


def test_the_server_stops_when_its_only_user_is_killed(folder: DataFolder) -> None:
    user = folder.start_user()
    keep_something(user)
    user.kill()
    eventually(lambda: not folder.processes())
    assert "database system is shut down" in folder.layout.log.read_text()
    assert_kept(folder)


def test_the_server_stays_when_one_of_two_users_is_killed(folder: DataFolder) -> None:
    killed, stays = folder.start_user(), folder.start_user()
    keep_something(killed)
    server = (stays.conninfo(), folder.server())[1]
    killed.kill()
    assert stays.query("SELECT answer FROM kept") == [(42,)]
    stays.leave()
    assert not folder.processes()
    assert server


def test_a_child_process_of_a_user_does_not_keep_the_server_running(folder: DataFolder) -> None:
    with open_embedded(folder.path):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        assert not folder.processes()
    finally:
        child.kill()
        child.wait()


def test_no_server_outlives_its_guardian(folder: DataFolder) -> None:
    user = folder.start_user()
    keep_something(user)
    os.kill(folder.guardian(), signal.SIGKILL)
    eventually(lambda: not folder.processes())
    user.kill()
    assert_kept(folder)


def test_who_opens_right_after_the_guardian_was_killed_gets_a_new_server(
    folder: DataFolder,
) -> None:
    user = folder.start_user()
    keep_something(user)
    former = folder.guardian()
    os.kill(former, signal.SIGKILL)
    newcomer = folder.start_user()
    assert newcomer.query("SELECT answer FROM kept") == [(42,)]
    assert folder.guardian() != former
    # The one who was there before shares the new server, and keeps it running.
    newcomer.leave()
    assert user.query("SELECT answer FROM kept") == [(42,)]


def test_a_killed_server_comes_back_to_its_users(folder: DataFolder) -> None:
    user = folder.start_user()
    keep_something(user)
    killed = folder.server()
    os.kill(killed, signal.SIGKILL)

    def is_back() -> bool:
        with suppress(psycopg.OperationalError):
            return user.query("SELECT answer FROM kept") == [(42,)]
        return False

    eventually(is_back)
    assert folder.server() != killed
    user.leave()
    assert not folder.processes()


def test_what_has_taken_the_place_of_its_folder_is_not_the_guardians(folder: DataFolder) -> None:
    folder.start_user().query("SELECT 1")
    server, guardian = folder.server(), folder.guardian()
    folder.path.rename(folder.path.with_name("former"))
    creation = folder.path / f"{folder.layout.unfinished_prefix}1"
    creation.mkdir(parents=True)
    os.kill(server, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{guardian}").exists())
    assert creation.exists()


def test_who_opens_right_after_the_server_was_killed_gets_it_back(folder: DataFolder) -> None:
    user = folder.start_user()
    keep_something(user)
    os.kill(folder.server(), signal.SIGKILL)
    with open_embedded(folder.path) as server:
        eventually(lambda: answers(server.conninfo))
    assert user.query("SELECT answer FROM kept") == [(42,)]


def answers(conninfo: str) -> bool:
    try:
        with psycopg.connect(conninfo) as connection:
            return connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    except psycopg.OperationalError:
        return False


def test_everything_killed_at_once_leaves_the_data(folder: DataFolder) -> None:
    user = folder.start_user()
    keep_something(user)
    for process in (folder.guardian(), *folder.processes(), user.process.pid):
        with suppress(ProcessLookupError):  # the server's own processes go with it
            os.kill(process, signal.SIGKILL)
    assert_kept(folder)


def test_a_server_without_guardian_is_stopped_before_another_is_started(folder: DataFolder) -> None:
    keep_something(user := folder.start_user())
    user.leave()
    layout = folder.layout
    identity = choose_identity(layout, program("postgres"))
    layout.make_socket_directory(identity.uid)
    command = server_command(layout, identity)
    with ended(subprocess.Popen(command, stderr=subprocess.DEVNULL)) as orphan:
        eventually(lambda: answers(user.conninfo()))
        with start_psql(user.conninfo(), "SELECT pg_sleep(600)") as busy:
            assert_kept(folder)
            assert busy.wait() != 0
        assert orphan.wait() == 0


def test_backends_that_outlive_a_killed_server_are_ended(folder: DataFolder) -> None:
    user = folder.start_user()
    keep_something(user)
    # Busy, so that it does not look whether its parent is alive.
    statement = "SELECT count(*) FROM generate_series(1, 1e12)"
    with start_psql(user.conninfo(), statement) as psql:
        eventually(lambda: user.query(BUSY) != [])
        [(backend,)] = user.query(BUSY)
        # In this order: the end of the guardian would be a signal to the server.
        for process in (folder.server(), folder.guardian()):
            os.kill(process, signal.SIGKILL)
        eventually(lambda: list(folder.processes()) == [backend])
        user.kill()
        assert_kept(folder)
        assert psql.wait() != 0


# By its beginning: who asked this before, and is not quite gone, has the number in its query too.
BUSY: LiteralString = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT count%'"


@contextmanager
def start_psql(conninfo: str, statement: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a statement from another process, which ends with the block at the latest."""
    command = [str(program("psql")), conninfo, "-c", statement]
    psql = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with ended(psql):
        yield psql


def test_a_stale_process_id_does_not_stand_in_the_way(folder: DataFolder) -> None:
    keep_something(user := folder.start_user())
    user.leave()
    stranger = subprocess.Popen(["sleep", "60"])
    (folder.layout.cluster / "postmaster.pid").write_text(f"{stranger.pid}\n")
    try:
        assert_kept(folder)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_kill_during_creation_leaves_no_half_database(folder: DataFolder) -> None:
    unfinished = f"{folder.layout.unfinished_prefix}*"
    user = folder.start_user()
    eventually(lambda: list(folder.path.glob(f"{unfinished}/base/1")))
    user.kill()
    assert not folder.layout.cluster.exists()
    with open_embedded(folder.path) as server, psycopg.connect(server.conninfo) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not list(folder.path.glob(unfinished))


def test_a_signal_to_everybody_stops_the_database_last(folder: DataFolder) -> None:
    user = folder.start_user()
    keep_something(user)
    guardian = folder.guardian()
    for request in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(guardian, request)
    assert user.query("SELECT answer FROM kept") == [(42,)]
    assert folder.guardian() == guardian
    assert os.getsid(guardian) != os.getsid(user.process.pid)


def test_the_guardian_alone_has_its_lock_and_has_it_as_long_as_it_lives(
    folder: DataFolder,
) -> None:
    user = folder.start_user()
    user.conninfo()
    with folder.layout.guardian_lock.open() as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.kill(folder.guardian(), signal.SIGKILL)
        eventually(lambda: is_granted(lock))


def is_granted(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def test_the_log_does_not_grow_for_ever(folder: DataFolder) -> None:
    open_embedded(folder.path).close()
    os.truncate(folder.layout.log, 50 * 1024 * 1024)
    open_embedded(folder.path).close()
    assert folder.layout.log.stat().st_size < 1024 * 1024
    assert folder.layout.log.with_suffix(".log.1").exists()
