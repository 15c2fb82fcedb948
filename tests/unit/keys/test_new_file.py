"""A new file is there whole, for its owner alone, and never takes the place of another."""

import errno
import os
import stat
from pathlib import Path

import pytest

from workers.errors import ConflictError, InvalidRequestError
from workers.keys.new_file import new_private_file


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new"
    with new_private_file(path) as write:
        write(b"content")
        assert not path.exists()
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "new"
    path.write_bytes(b"old")
    with pytest.raises(ConflictError, match="not overwritten"), new_private_file(path):
        pytest.fail("it was opened")
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_somebody_makes_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "new"

    def overtaken() -> None:
        with new_private_file(path) as write:
            write(b"ours")
            path.write_bytes(b"theirs")

    with pytest.raises(ConflictError, match="not overwritten"):
        overtaken()
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["missing/new", "file/new", "x" * 250])
def test_a_place_where_nothing_can_be_written_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InvalidRequestError, match="Cannot write"),
        new_private_file(tmp_path / name),
    ):
        pytest.fail("it was opened")


def test_an_error_of_the_caller_stays_what_it_is(tmp_path: Path) -> None:
    def fail() -> None:
        with new_private_file(tmp_path / "new") as write:
            write(b"half")
            raise OSError("theirs")

    with pytest.raises(OSError, match="theirs"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_links_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "new"
    with new_private_file(path) as write:
        write(b"content")
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConflictError), new_private_file(path) as write:
        pytest.fail("it was opened")
