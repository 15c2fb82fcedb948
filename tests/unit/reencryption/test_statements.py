"""What a header says, as the census finds it."""

import pytest

from workers.encryption.ciphertext import header, header_text
from workers.reencryption.statements import header_number, key_parameters


@pytest.mark.parametrize("number", [1, 7, 2**32 - 1])
def test_a_header_names_its_key_in_bytes_and_in_text(number: int) -> None:
    assert header_number(header(number)) == number
    assert header_number(header_text(number)) == number


@pytest.mark.parametrize(
    "beginning",
    [
        None,
        b"",
        b"\x93\x01",
        b"\x93\x01\0\0\0\0",
        "",
        "kwE",
        "kwE!!!!!",
        "kwEé",
        "kwEA",
        "kwEAAAAA",
    ],
)
def test_what_only_looks_like_a_header_names_none(beginning: bytes | str | None) -> None:
    assert header_number(beginning) is None


def test_row_keys_become_one_array_per_column() -> None:
    assert key_parameters([["1", "a"], ["2", "b"]], 2) == {"k1": ["1", "2"], "k2": ["a", "b"]}
    assert key_parameters([], 2) == {"k1": [], "k2": []}
