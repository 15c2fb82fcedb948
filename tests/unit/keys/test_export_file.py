"""The text of an export: what is written, and what is refused before any key is tried."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.keys.exports import VECTORS, about, to_certificate, with_passphrase
from workers.keys.export_file import (
    LARGEST_BYTES,
    CertificateProtection,
    ExportFileError,
    PassphraseProtection,
    read_export,
    write_export,
)

GOOD = with_passphrase()
LINES = GOOD.splitlines(keepends=True)
BLANK = LINES.index("\n")


def refused(data: bytes | str) -> str:
    """Return why a file is refused: one sentence, without what stands in the file."""
    with pytest.raises(ExportFileError) as caught:
        read_export(data.encode() if isinstance(data, str) else data)
    text = str(caught.value)
    assert text.endswith(".")
    assert text.isprintable()
    assert len(text) < 300
    return text


def replaced(pattern: str, by: str) -> str:
    """Return the good file with one place of it changed."""
    changed, number = re.subn(pattern, by, GOOD, flags=re.MULTILINE)
    assert number == 1
    return changed


def test_a_file_says_in_plain_text_which_key_it_holds_and_how_it_is_protected() -> None:
    lines = GOOD.splitlines()
    assert lines[0] == "-----BEGIN KEYWRIGHT MASTER KEY-----"
    assert lines[-1] == "-----END KEYWRIGHT MASTER KEY-----"
    assert [line.partition(": ")[0] for line in lines[1:BLANK]] == [
        "Format",
        "Organization",
        "Key-Number",
        "Check-Value",
        "Fingerprint",
        "Created",
        "Exported",
        "Protection",
        "Scrypt",
        "Salt",
        "Nonce",
    ]
    assert "Organization: 7" in lines
    assert "Key-Number: 3" in lines
    assert "Created: 2026-01-02T03:04:05Z" in lines
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("text", [GOOD, to_certificate()], ids=["passphrase", "certificate"])
def test_what_was_written_is_read_as_it_was(text: str) -> None:
    file = read_export(text.encode())
    assert file.key == about()
    assert write_export(file) == text
    expected = PassphraseProtection if text is GOOD else CertificateProtection
    assert isinstance(file.protection, expected)


def test_line_ends_of_mail_and_of_other_systems_are_forgiven() -> None:
    assert read_export(GOOD.replace("\n", "\r\n").encode()) == read_export(GOOD.encode())
    assert read_export(GOOD.rstrip("\n").encode()) == read_export(GOOD.encode())


@pytest.mark.parametrize("name", ["passphrase.txt", "certificate.txt"])
def test_a_file_of_an_earlier_keywright_is_still_read(name: str) -> None:
    assert read_export((VECTORS / name).read_bytes()).key == about()


@given(st.integers(1, 2**63 - 1), st.integers(1, 2**32 - 1))
def test_every_organization_and_number_survives(organization_id: int, key_number: int) -> None:
    text = replaced("^Organization: .*$", f"Organization: {organization_id}")
    text = text.replace("Key-Number: 3\n", f"Key-Number: {key_number}\n")
    key = read_export(text.encode()).key
    assert (key.organization_id, key.key_number) == (organization_id, key_number)


@pytest.mark.parametrize(
    ("pattern", "by", "says"),
    [
        ("^Format: 1$", "Format: 2", "knows format 1 only"),
        ("^Organization: 7$", "Organization: 07", "Organization is not written as"),
        ("^Organization: 7$", "Organization: 9223372036854775808", "Organization"),
        ("^Organization: 7$", "Organization:7", "the header Organization is not where"),
        ("^Organization: 7\n", "", "the header Organization is not where"),
        ("^Key-Number: 3$", "Key-Number: 0", "Key-Number"),
        ("^Key-Number: 3$", "Key-Number: 4294967296", "Key-Number"),
        ("^Key-Number: 3$", "Key-Number: -3", "Key-Number"),
        ("^Key-Number: 3$", "Key-Number: 3 ", "Key-Number"),
        ("^Check-Value: ..", "Check-Value: ", "Check-Value"),
        ("^Fingerprint: ..", "Fingerprint: AA", "Fingerprint"),
        ("^Created: 2026-01", "Created: 2026-13", "Created"),
        ("^Created: .*$", "Created: 2026-01-02T03:04:05+00:00", "Created"),
        ("^Protection: .*$", "Protection: none", "Protection"),
        ("^Scrypt: n=16 ", "Scrypt: n=15 ", "Scrypt"),
        ("^Scrypt: n=16 ", "Scrypt: n=1 ", "Scrypt"),
        ("^Scrypt: n=16 ", "Scrypt: n=016 ", "Scrypt"),
        ("^Scrypt: n=16 r=8", "Scrypt: n=16 r=0", "Scrypt"),
        ("^Salt: 00", "Salt: ", "Salt"),
        ("^Nonce: 00", "Nonce: 0000", "Nonce"),
        ("^(Nonce: .*)$", r"\1\nComment: hello", "a header that does not belong"),
        ("^(-----END.*)$", r"\1\n\1", "base64"),
        ("^-----END.*$", "", "no whole keywright export"),
        ("^\n", "", "no whole keywright export"),
        ("^(\n)", r"\1\1", "lines are not broken"),
    ],
)
def test_what_is_not_written_as_keywright_does_is_refused(pattern: str, by: str, says: str) -> None:
    assert says in refused(replaced(pattern, by))


@pytest.mark.parametrize(
    "written",
    [
        "n=2097152 r=8 p=1",
        "n=1048576 r=9 p=1",
        "n=1048576 r=8 p=2",
        "n=2 r=9999 p=9999",
        "n=8589934592 r=1 p=1",
    ],
)
def test_a_passphrase_that_would_cost_too_much_to_try_is_not_tried(written: str) -> None:
    assert "more than 1 GiB" in refused(replaced("^Scrypt: .*$", f"Scrypt: {written}"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\0" * 1000,
        b"-----BEGIN KEYWRIGHT MASTER KEY-----\n",
        b"-----BEGIN KEYWRIGHT MASTER KEY-----\n-----END KEYWRIGHT MASTER KEY-----\n",
        b"-----BEGIN KEYWRIGHT MASTER KEY-----\n\n-----END KEYWRIGHT MASTER KEY-----\n",
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.encode("utf-16"),
        GOOD.replace("MASTER", "SECRET").encode(),
        b"x" * LARGEST_BYTES,
        b"\n" * LARGEST_BYTES,
    ],
)
def test_other_files_are_no_exports(data: bytes) -> None:
    refused(data)


def test_a_huge_file_is_not_looked_at() -> None:
    assert "bytes" in refused(GOOD.encode() + b"\n" * LARGEST_BYTES)


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_stumble(data: bytes) -> None:
    refused(data)


@given(st.permutations(range(1, BLANK)))
def test_headers_in_another_order_are_refused(order: list[int]) -> None:
    if order != sorted(order):
        refused("".join([LINES[0], *(LINES[place] for place in order), *LINES[BLANK:]]))


@pytest.mark.parametrize("place", range(len(LINES)))
def test_a_line_that_is_missing_or_stands_twice_is_noticed(place: int) -> None:
    refused("".join(LINES[:place] + LINES[place + 1 :]))
    refused("".join(LINES[: place + 1] + LINES[place:]))
