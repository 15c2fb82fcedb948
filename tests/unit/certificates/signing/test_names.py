"""Names that mean the same though they are written otherwise."""

import pytest

from tests.unit.certificates.certificate_maker import COMMON_NAME, attribute, sequence
from workers.certificates.signing.names import begins_with, same_name

UTF8, PRINTABLE, BMP = 0x0C, 0x13, 0x1E
ORGANIZATION = "2.5.4.10"


def written(tag: int, value: bytes, kind: str = COMMON_NAME) -> bytes:
    return attribute(kind, tag, value)


ACME = sequence(written(UTF8, b"Acme CA"))


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (sequence(written(PRINTABLE, b"ACME  ca")), True),
        (sequence(written(BMP, "Acme CA".encode("utf-16-be"))), True),
        (sequence(written(UTF8, b"Acme CA 2")), False),
        (sequence(written(UTF8, b"Acme CA", ORGANIZATION)), False),
        (sequence(written(UTF8, b"Acme CA"), written(UTF8, b"x")), False),
        (sequence(written(0x03, b"Acme CA")), False),
        (sequence(written(UTF8, b"\xff")), False),
        (b"\x30\x05\x31", False),
    ],
)
def test_case_blanks_and_kinds_of_string_do_not_matter(other: bytes, is_same: bool) -> None:
    assert same_name(ACME, other) is is_same
    assert same_name(other, ACME) is is_same


def test_a_name_lies_below_its_beginning() -> None:
    below = sequence(written(PRINTABLE, b"acme ca"), written(UTF8, b"www", ORGANIZATION))
    assert begins_with(below, ACME)
    assert not begins_with(ACME, below)
    assert not begins_with(ACME, b"\x30\x05\x31")
