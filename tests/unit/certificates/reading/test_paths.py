"""Files and folders as people name them."""

import os
import threading
from pathlib import Path

import pytest

from tests.unit.certificates.certificate_maker import make_der, pem
from workers.certificates.reading.found import IgnoredFile, Reading
from workers.certificates.reading.paths import ReadingLimits, read_paths

ONE, TWO, THREE = (make_der(each) for each in ("one", "two", "three"))


def names(reading: Reading) -> list[str | None]:
    return [each.common_name for each in reading.certificates]


def test_a_folder_is_read_to_its_last_subfolder_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "b" / "deep" / "er").mkdir(parents=True)
    (tmp_path / "b" / "deep" / "er" / "two.txt").write_bytes(pem(TWO))
    (tmp_path / "c").write_bytes(THREE)
    (tmp_path / "a.jpg").write_bytes(ONE)
    reading = read_paths([tmp_path])
    assert names(reading) == ["one", "two", "three"]
    assert [each.source for each in reading.certificates] == [
        str(tmp_path / "a.jpg"),
        str(tmp_path / "b" / "deep" / "er" / "two.txt"),
        str(tmp_path / "c"),
    ]


def test_a_file_without_certificate_is_ignored_in_a_folder_and_a_fault_by_name(
    tmp_path: Path,
) -> None:
    readme = tmp_path / "README"
    readme.write_text("Certificates of the office.")
    request = tmp_path / "web.csr"
    request.write_bytes(pem(b"x", "CERTIFICATE REQUEST"))
    in_folder = read_paths([tmp_path])
    assert not in_folder.faults
    assert in_folder.ignored == (
        IgnoredFile(str(readme), "this is something other than a certificate"),
        IgnoredFile(str(request), "this is a certificate request (CSR)"),
    )
    by_name = read_paths([readme, request])
    assert [fault.source for fault in by_name.faults] == [str(readme), str(request)]
    assert not by_name.ignored


def test_a_broken_certificate_in_a_folder_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_bytes(pem(ONE[:-9]) + pem(TWO))
    (tmp_path / "b.der").write_bytes(ONE[:-9])
    reading = read_paths([tmp_path])
    assert names(reading) == ["two"]
    assert [Path(fault.source).name for fault in reading.faults] == ["a.pem", "b.der"]


def test_what_stands_beside_a_certificate_is_a_fault_in_a_folder_as_well(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_bytes(pem(b"x", "X509 CRL") + pem(ONE) + pem(TWO[:-9]))
    reading = read_paths([tmp_path])
    assert names(reading) == ["one"]
    assert [fault.position for fault in reading.faults] == [1, 3]


def test_hidden_files_are_passed_over_and_links_ignored(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "two.pem").write_bytes(pem(TWO))
    folder = tmp_path / "folder"
    (folder / ".hidden").mkdir(parents=True)
    (folder / ".hidden" / "one.pem").write_bytes(pem(ONE))
    (folder / ".one.pem").write_bytes(pem(ONE))
    (folder / "link").symlink_to(elsewhere)
    (folder / "loop").symlink_to(folder)
    (folder / "two.pem").symlink_to(elsewhere / "two.pem")
    reading = read_paths([folder])
    assert not reading.certificates
    assert [(Path(each.source).name, each.reason) for each in reading.ignored] == [
        ("link", "this is a symbolic link"),
        ("loop", "this is a symbolic link"),
        ("two.pem", "this is a symbolic link"),
    ]
    assert names(read_paths([folder / "link", folder / "two.pem"])) == ["two", "two"]


def test_a_pipe_in_a_folder_is_not_waited_for_and_one_by_name_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    [ignored] = read_paths([tmp_path]).ignored
    assert ignored.reason == "this is no regular file"
    writer = threading.Thread(target=pipe.write_bytes, args=[pem(ONE)], daemon=True)
    writer.start()
    assert names(read_paths([pipe])) == ["one"]
    writer.join()


def test_a_file_that_is_not_there_is_a_fault_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "one.pem").write_bytes(pem(ONE))
    wrong = [tmp_path / "none.pem", tmp_path / "one.pem" / "x", tmp_path / ("x" * 300)]
    reading = read_paths([*wrong, tmp_path / "one.pem"])
    assert names(reading) == ["one"]
    assert [fault.what for fault in reading.faults] == [
        "it cannot be read (No such file or directory)",
        "it cannot be read (Not a directory)",
        "it cannot be read (File name too long)",
    ]


def test_a_name_that_is_no_text_can_be_shown(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.pem"))
    path.write_bytes(pem(ONE))
    [found] = read_paths([tmp_path]).certificates
    assert found.source == str(tmp_path / "\ufffd.pem")


def test_a_private_key_beside_certificates_is_remarked_on(tmp_path: Path) -> None:
    (tmp_path / "web.pem").write_bytes(pem(b"secret", "EC PRIVATE KEY") + pem(ONE))
    (tmp_path / "web.key").write_bytes(pem(b"secret", "EC PRIVATE KEY"))
    reading = read_paths([tmp_path])
    assert names(reading) == ["one"]
    assert [Path(each.source).name for each in reading.remarks] == ["web.pem"]
    assert [each.reason for each in reading.ignored] == ["this is a private key"]


@pytest.mark.parametrize("size", [-1, 0, 1])
def test_the_largest_file_is_read_and_a_larger_one_said_to_be_left_out(
    tmp_path: Path, size: int
) -> None:
    path = tmp_path / "one.pem"
    path.write_bytes(pem(ONE))
    limits = ReadingLimits(file_bytes=len(pem(ONE)) - size)
    in_folder = read_paths([tmp_path], limits=limits)
    by_name = read_paths([path], limits=limits)
    if size <= 0:
        assert names(in_folder) == names(by_name) == ["one"]
        assert not in_folder.limits
    else:
        assert not in_folder.certificates
        assert str(path) in in_folder.limits[0]
        assert "larger than" in by_name.faults[0].what


def test_no_more_files_are_looked_at_than_the_limit_says(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.pem").write_bytes(pem(make_der(str(number))))
    assert not read_paths([tmp_path], limits=ReadingLimits(files=4)).limits
    reading = read_paths([tmp_path], limits=ReadingLimits(files=3))
    assert names(reading) == ["0", "1", "2"]
    assert reading.limits == ("Only the first 3 files were looked at.",)


def test_no_more_certificates_are_taken_than_the_limit_says(tmp_path: Path) -> None:
    path = tmp_path / "all.pem"
    path.write_bytes(pem(ONE) + pem(TWO) + pem(THREE))
    assert not read_paths([path], limits=ReadingLimits(certificates=3)).limits
    reading = read_paths([path, path], limits=ReadingLimits(certificates=2))
    assert names(reading) == ["one", "two"]
    assert reading.limits == ("Only the first 2 certificates were taken.",)
