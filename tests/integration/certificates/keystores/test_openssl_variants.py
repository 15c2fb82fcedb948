"""The ways in which openssl, old and new, protects a PKCS #12 file."""

from pathlib import Path

import pytest

from tests.integration.certificates.keystores.foreign_tools import write_by_openssl
from tests.unit.certificates.keystores.material import PASSWORD, key_entry, same_form
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.limits import Limits
from workers.certificates.keystores.pkcs12_reading import read_pkcs12

ENTRY = key_entry("p256")


def both(encryption: str) -> list[str]:
    return ["-keypbe", encryption, "-certpbe", encryption]


@pytest.mark.parametrize(
    "options",
    [
        both("AES-128-CBC"),
        both("AES-192-CBC"),
        both("AES-256-CBC"),
        both("DES-EDE3-CBC"),
        ["-legacy", *both("PBE-SHA1-3DES")],
        ["-legacy", *both("PBE-SHA1-2DES")],
        ["-legacy", *both("PBE-SHA1-RC2-128")],
        ["-legacy", *both("PBE-SHA1-RC2-40")],
        both("NONE"),
        ["-macalg", "sha1"],
        ["-macalg", "sha224"],
        ["-macalg", "sha384"],
        ["-macalg", "sha512"],
        ["-iter", "1"],
        ["-nomaciter"],
    ],
    ids=" ".join,
)
def test_a_file_is_read_however_it_is_protected(tmp_path: Path, options: list[str]) -> None:
    file = write_by_openssl(tmp_path / "file.p12", ENTRY, options=options)
    reading = read_pkcs12(file.path.read_bytes(), store_password=PASSWORD, limits=Limits())
    assert (reading.faults, reading.trusted) == ((), ())
    [key] = reading.keys
    assert (same_form(key.private_key), key.chain) == (ENTRY.private_key, ENTRY.chain)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-nomac"], "has no MAC"),
        (["-legacy", *both("PBE-SHA1-RC4-128")], "which is not supported; write it again"),
    ],
)
def test_what_is_not_read_is_refused_with_what_helps(
    tmp_path: Path, options: list[str], said: str
) -> None:
    file = write_by_openssl(tmp_path / "file.p12", ENTRY, options=options)
    with pytest.raises(KeystoreError, match=said):
        read_pkcs12(file.path.read_bytes(), store_password=PASSWORD, limits=Limits())
