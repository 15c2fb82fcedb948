"""Root keys in files: made once, kept to their owner, and refused when anything is amiss."""

import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workers.errors import InvalidRequestError
from workers.keys.root_keys import WrappedKeyError
from workers.keys.root_keys.file import FileRootKey, parse_path

KEY = bytes(range(32))
CONTEXT = {"organization": "7", "key-number": "1"}


def write(path: Path, content: bytes, mode: int = 0o600) -> Path:
    """Make a file, whatever the umask."""
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with a root key, as `openssl rand -base64 32` makes one."""
    return write(tmp_path / "root.key", b64encode(os.urandom(32)) + b"\n")


def refusal(path: Path) -> str:
    """Return the one sentence with which a file is refused."""
    with pytest.raises(InvalidRequestError) as refused:
        _ = FileRootKey(path, variable="KEYWRIGHT_FORMER_ROOT_KEY").identifier
    text = str(refused.value)
    assert text.startswith("KEYWRIGHT_FORMER_ROOT_KEY: ")
    assert str(path) in text
    return text


def test_what_is_wrapped_is_unwrapped_and_never_looks_alike_twice(file: Path) -> None:
    root_key = FileRootKey(file)
    wraps = {root_key.wrap(KEY, context=CONTEXT) for _ in range(100)}
    assert len(wraps) == 100
    assert {root_key.unwrap(wrap, context=CONTEXT) for wrap in wraps} == {KEY}
    assert not any(KEY in wrap for wrap in wraps)


@pytest.mark.parametrize(
    "context",
    [
        {"organization": "8", "key-number": "1"},
        {"organization": "7", "key-number": "2"},
        {"organization": "1", "key-number": "7"},
        {"organization": "7"},
        {"organization": "7", "key-number": "1", "more": ""},
        {"organization": "7key-number", "": "1"},
        {},
    ],
)
def test_another_context_does_not_open_it(file: Path, context: dict[str, str]) -> None:
    root_key = FileRootKey(file)
    wrapped = root_key.wrap(KEY, context=CONTEXT)
    with pytest.raises(WrappedKeyError, match="does not open"):
        root_key.unwrap(wrapped, context=context)


def test_no_byte_may_be_changed(file: Path) -> None:
    root_key = FileRootKey(file)
    wrapped = root_key.wrap(KEY, context=CONTEXT)
    for position in range(len(wrapped)):
        altered = bytearray(wrapped)
        altered[position] ^= 1
        with pytest.raises(WrappedKeyError):
            root_key.unwrap(bytes(altered), context=CONTEXT)


@pytest.mark.parametrize("change", [lambda w: w[:-1], lambda w: w + b"\0", lambda _: b""])
def test_no_other_length_is_taken(file: Path, change: Callable[[bytes], bytes]) -> None:
    root_key = FileRootKey(file)
    wrapped = root_key.wrap(KEY, context=CONTEXT)
    with pytest.raises(WrappedKeyError, match="which no wrap has"):
        root_key.unwrap(change(wrapped), context=CONTEXT)


def test_a_later_format_is_refused_by_its_number(file: Path) -> None:
    root_key = FileRootKey(file)
    wrapped = b"\x02" + root_key.wrap(KEY, context=CONTEXT)[1:]
    with pytest.raises(WrappedKeyError, match="is of format 2"):
        root_key.unwrap(wrapped, context=CONTEXT)


def test_another_root_key_does_not_open_it(file: Path, tmp_path: Path) -> None:
    wrapped = FileRootKey(file).wrap(KEY, context=CONTEXT)
    other = FileRootKey(tmp_path / "other.key", create_if_missing=True)
    with pytest.raises(WrappedKeyError):
        other.unwrap(wrapped, context=CONTEXT)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_only_master_keys_are_wrapped(file: Path, length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        FileRootKey(file).wrap(bytes(length), context=CONTEXT)


def test_the_identifier_is_of_the_key_and_not_of_its_place(file: Path, tmp_path: Path) -> None:
    before = FileRootKey(file).identifier
    moved = file.rename(tmp_path / "moved.key")
    assert FileRootKey(moved).identifier == before
    assert before.startswith("file:")
    assert len(bytes.fromhex(before.removeprefix("file:"))) == 8


def test_a_missing_file_is_refused_and_not_made(tmp_path: Path) -> None:
    assert "there is no file" in refusal(tmp_path / "root.key")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o444])
def test_a_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    text = refusal(file)
    assert "others may read" in text
    assert f"chmod 600 {file}" in text


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert "others may write" in refusal(file)


def test_what_is_mounted_read_only_may_be_readable(file: Path, tmp_path: Path) -> None:
    # As the orchestrators of containers hand over secrets: mode 0444 on a mount that is read-only.
    file.chmod(0o444)
    program = (
        "from pathlib import Path; import sys;"
        "from workers.keys.root_keys.file import FileRootKey;"
        "print(FileRootKey(Path(sys.argv[1])).identifier)"
    )
    mount = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,ro,bind {tmp_path}"
    shown = subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "--mount"),
            *("sh", "-c", f'{mount} && exec "$@"', "sh"),
            *(sys.executable, "-c", program, str(file)),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    file.chmod(0o400)
    assert shown.strip() == FileRootKey(file).identifier


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has 0 bytes"),
        (b64encode(bytes(31)), "has 31 bytes"),
        (b64encode(bytes(33)), "has 33 bytes"),
        (bytes(range(128, 160)), "one line of base64"),
        (b64encode(bytes(16)) + b"\n" + b64encode(bytes(16)), "one line of base64"),
        (b64encode(bytes(32))[:-1], "one line of base64"),
        (b"file:/etc/keywright/root.key", "one line of base64"),
        (b"A" * 5000, "more than 4096 bytes"),
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    text = refusal(write(tmp_path / "root.key", content))
    assert reason in text
    assert not content or repr(content)[2:-1] not in text


def test_a_folder_and_a_pipe_are_refused_without_waiting(tmp_path: Path) -> None:
    assert "no regular file" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "no regular file" in refusal(tmp_path / "pipe")


def test_errors_hold_no_key(tmp_path: Path) -> None:
    key = b64encode(os.urandom(32))
    with pytest.raises(InvalidRequestError) as refused:
        _ = FileRootKey(write(tmp_path / "root.key", key + b"!")).identifier
    assert key.decode() not in str(refused.value)
    assert refused.value.__cause__ is None
    root_key = FileRootKey(write(tmp_path / "good.key", key))
    assert root_key.identifier
    assert key.decode() not in repr(root_key)


def test_the_embedded_default_makes_a_key_that_only_its_owner_may_read(tmp_path: Path) -> None:
    path = tmp_path / "data" / "root.key"
    identifier = FileRootKey(path, create_if_missing=True).identifier
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert FileRootKey(path).identifier == identifier
    assert list(path.parent.iterdir()) == [path]


def test_an_existing_file_is_never_overwritten(file: Path) -> None:
    before = file.read_bytes()
    assert FileRootKey(file, create_if_missing=True).identifier == FileRootKey(file).identifier
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"not a key"])
def test_a_damaged_file_is_refused_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "root.key", content)
    with pytest.raises(InvalidRequestError):
        _ = FileRootKey(path, create_if_missing=True).identifier
    assert path.read_bytes() == content


def test_all_who_make_it_at_the_same_time_have_the_same_key(tmp_path: Path) -> None:
    for attempt in range(20):
        path = tmp_path / str(attempt) / "root.key"
        with ThreadPoolExecutor(8) as threads:
            made = [FileRootKey(path, create_if_missing=True) for _ in range(8)]
            identifiers = set(threads.map(lambda root_key: root_key.identifier, made))
        assert identifiers == {FileRootKey(path).identifier}
        assert list(path.parent.iterdir()) == [path]


def test_a_place_that_takes_no_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "file", b"")
    with pytest.raises(InvalidRequestError, match="cannot create the root key"):
        _ = FileRootKey(tmp_path / "file" / "root.key", create_if_missing=True).identifier


@pytest.mark.parametrize("text", ["/a/root.key", "///a/root.key"])
def test_a_path_is_absolute(text: str) -> None:
    assert parse_path(text, variable="KEYWRIGHT_ROOT_KEY") == Path("/a/root.key")


@pytest.mark.parametrize("text", ["", "/", "a", "./a", "~/a", "//host/a", "/a/", "/a\0"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="KEYWRIGHT_ROOT_KEY: after file: comes"):
        parse_path(text, variable="KEYWRIGHT_ROOT_KEY")
