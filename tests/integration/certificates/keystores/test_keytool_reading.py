"""What keytool 17 makes of a keystore that is harder to read: key passwords and odd aliases."""

from pathlib import Path

import pytest

from tests.integration.certificates.keystores.java import keytool
from tests.unit.certificates.keystores.material import PASSWORD, key_entry
from workers.certificates.keystores.doctor import check_for_import
from workers.certificates.keystores.reading import read_keystore
from workers.certificates.keystores.writing import write_keystore

OWN = "a-password-of-its-own"
ENTRY = key_entry("rsa2048")


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    """A JKS file with one key."""
    path = tmp_path / "store.jks"
    path.write_bytes(write_keystore("jks", keys=[ENTRY], password=PASSWORD))
    return path


def in_store(path: Path) -> tuple[str, ...]:
    return ("-keystore", str(path), "-storepass", PASSWORD, "-alias", ENTRY.alias)


def test_rule_25_a_jks_key_with_a_password_of_its_own(keystore: Path) -> None:
    passwords = ("-keypass", PASSWORD, "-new", OWN)
    keytool("-keypasswd", "-storetype", "jks", *in_store(keystore), *passwords)
    data = keystore.read_bytes()
    with_both = read_keystore(data, store_password=PASSWORD, key_password=OWN)
    assert [(each.private_key, each.chain) for each in with_both.keys] == [
        (ENTRY.private_key, ENTRY.chain)
    ]
    with_one = read_keystore(data, store_password=PASSWORD)
    for reading in (with_both, with_one):
        [fault] = check_for_import(reading, taken_names=())
        assert (fault.alias, fault.code) == ("rsa2048", "key-password")
    assert check_for_import(with_both, taken_names=(), one_password=False) == []


def test_rule_25_a_jceks_key_with_a_password_of_its_own(keystore: Path) -> None:
    path = keystore.with_suffix(".jceks")
    keytool(
        *("-importkeystore", "-noprompt", "-srckeystore", str(keystore), "-srcstorepass", PASSWORD),
        *("-srcalias", ENTRY.alias, "-destkeystore", str(path), "-deststoretype", "jceks"),
        *("-deststorepass", PASSWORD, "-destkeypass", OWN),
    )
    data = path.read_bytes()
    [key] = read_keystore(data, store_password=PASSWORD, key_password=OWN).keys
    assert (key.private_key, key.chain, key.has_own_password) == (
        ENTRY.private_key,
        ENTRY.chain,
        True,
    )
    [fault] = read_keystore(data, store_password=PASSWORD).faults
    assert fault.code == "key-password"


def test_rule_27_an_alias_beyond_what_utf_8_and_java_agree_on(keystore: Path) -> None:
    odd = "schlüssel-😀"
    keytool("-changealias", "-storetype", "jks", *in_store(keystore), "-destalias", odd)
    reading = read_keystore(keystore.read_bytes(), store_password=PASSWORD)
    assert [each.alias for each in reading.keys] == [odd]
    [fault] = check_for_import(reading, taken_names=())
    assert str(fault).startswith(f"The alias “{odd}” is not acceptable for import")
