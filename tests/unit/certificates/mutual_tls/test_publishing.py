"""A set of files is there whole, or the one before is."""

import fcntl
import os
from pathlib import Path

import pytest

from workers.certificates.mutual_tls.publishing import current_set, exclusive, publish
from workers.errors import InvalidRequestError

ONE = {"client-ca.pem": b"one", "clients.pem": b"1"}
TWO = {"client-ca.pem": b"two"}


def sets(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".lock")}


def test_the_current_set_is_replaced_only_when_something_has_changed(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "bundle"
    with exclusive(folder):
        assert publish(folder, ONE)
        first = current_set(folder)
        seen = (folder / "current").lstat().st_ino
        assert not publish(folder, ONE)
        assert (folder / "current").lstat().st_ino == seen
        assert publish(folder, TWO)
    assert (folder / "current" / "client-ca.pem").read_bytes() == b"two"
    assert not (folder / "current" / "clients.pem").exists()
    # A listener may be reading the former one; the one before that goes.
    assert sets(folder) == {"current", str(first), str(current_set(folder))}
    with exclusive(folder):
        assert publish(folder, {"client-ca.pem": b"three"})
    assert str(first) not in sets(folder)


def test_nobody_else_publishes_meanwhile(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path),
        (tmp_path / ".lock").open() as lock,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_others_can_read_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        publish(tmp_path, ONE)
    finally:
        os.umask(before)
    assert (tmp_path / "current" / "clients.pem").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "current").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("step", ["chmod", "rename", "symlink_to", "replace"])
def test_whoever_dies_in_between_leaves_the_former_set(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, ONE)

    def die(*_arguments: object, **_more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, step, die)
        with pytest.raises(KeyboardInterrupt):
            publish(tmp_path, TWO)
    assert (tmp_path / "current" / "client-ca.pem").read_bytes() == b"one"
    assert publish(tmp_path, TWO)
    assert (tmp_path / "current" / "client-ca.pem").read_bytes() == b"two"
    assert not [name for name in sets(tmp_path) if name.startswith(".unfinished")]


def test_what_somebody_damaged_is_made_whole(tmp_path: Path) -> None:
    publish(tmp_path, ONE)
    (tmp_path / "current" / "clients.pem").write_bytes(b"everybody")
    assert publish(tmp_path, ONE)
    assert (tmp_path / "current" / "clients.pem").read_bytes() == b"1"
    (tmp_path / "current" / "clients.pem").unlink()
    assert publish(tmp_path, ONE)


def test_a_folder_that_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(InvalidRequestError, match="Cannot write the bundle into"),
        exclusive(tmp_path / "file"),
    ):
        pass
