"""The derivation of PKCS #12, with the known answers that libraries test each other by."""

import pytest

from workers.certificates.keystores.pkcs12_derivation import Use, derive


@pytest.mark.parametrize(
    ("password", "salt", "iterations", "use", "expected"),
    [
        (
            "smeg",
            "0A58CF64530D823F",
            1,
            Use.KEY,
            "8AAAE6297B6CB04642AB5B077851284EB7128F1A2A7FBCA3",
        ),
        ("smeg", "0A58CF64530D823F", 1, Use.IV, "79993DFE048D3B76"),
        (
            "queeg",
            "05DEC959ACFF72F7",
            1000,
            Use.KEY,
            "ED2034E36328830FF09DF1E1A07DD357185DAC0D4F9EB3D4",
        ),
        ("queeg", "05DEC959ACFF72F7", 1000, Use.IV, "11DEDAD7758D4860"),
        ("queeg", "263216FCC2FAB31C", 1000, Use.MAC, "5EC4C7A80DF652294C3925B6489A7AB857C83476"),
    ],
)
def test_known_answers(password: str, salt: str, iterations: int, use: Use, expected: str) -> None:
    derived = derive(
        "sha1",
        use,
        password,
        bytes.fromhex(salt),
        iterations=iterations,
        size=len(expected) // 2,
    )
    assert derived.hex().upper() == expected


def test_a_salt_may_be_missing_or_longer_than_a_block() -> None:
    derived = {
        derive("sha512", Use.KEY, "password", salt, iterations=2, size=200)
        for salt in (b"", b"1", b"1" * 128, b"1" * 129)
    }
    # "1" and 128 times "1" fill a block alike.
    assert {len(each) for each in derived} == {200}
    assert len(derived) == 3
