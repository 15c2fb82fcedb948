"""The door to writing keystores: what it refuses, and what pyjks and openssl find in the rest."""

import re
import stat
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jks
import pytest
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from tests.unit.certificates.keystores.material import (
    KEY_TYPES,
    PASSWORD,
    key_entry,
    trusted_entry,
)
from workers.certificates.keystores import java_writing
from workers.certificates.keystores.entries import Format, KeyEntry
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.writing import write_file, write_keystore, write_truststore
from workers.errors import ConflictError, InvalidRequestError

FORMATS: tuple[Format, ...] = ("jks", "pkcs12", "pem")
KEYS = [key_entry(each) for each in KEY_TYPES]


def test_jks_is_what_pyjks_itself_would_have_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_keystore("jks", keys=KEYS, trusted=[trusted_entry()], password=PASSWORD)
    store = jks.KeyStore.loads(written, PASSWORD)
    assert [each.pkey_pkcs8 for each in store.private_keys.values()] == [
        each.private_key for each in KEYS
    ]
    # pyjks writes a fresh salt for a key, and the time, so that only these may differ.
    moment = next(iter(store.entries.values())).timestamp / 1000
    monkeypatch.setattr(java_writing, "time", SimpleNamespace(time=lambda: moment))
    trusted = [replace(trusted_entry(), alias=f"root-{number}") for number in range(3)]
    ours = write_keystore("jks", keys=(), trusted=trusted, password=PASSWORD)
    entries = [jks.TrustedCertEntry.new(each.alias, each.certificate) for each in trusted]
    for theirs, read in zip(
        entries, jks.KeyStore.loads(ours, PASSWORD).entries.values(), strict=True
    ):
        theirs.timestamp = read.timestamp
    assert jks.KeyStore.new("jks", entries).saves(PASSWORD) == ours


def test_jks_keeps_another_password_for_its_keys() -> None:
    written = write_keystore(
        "jks", keys=KEYS[:1], password=PASSWORD, key_password="another-password"
    )
    [entry] = jks.KeyStore.loads(written, PASSWORD).private_keys.values()
    assert not entry.is_decrypted()
    entry.decrypt("another-password")
    assert entry.pkey_pkcs8 == KEYS[0].private_key


@pytest.mark.parametrize("store_format", ["pkcs12", "pem"])
def test_no_other_format_keeps_another_password(store_format: Format) -> None:
    with pytest.raises(KeystoreError, match=r"^key_password: only JKS"):
        write_keystore(store_format, keys=KEYS, password=PASSWORD, key_password="another-password")


def test_pkcs_12_of_one_key_is_read_by_cryptography() -> None:
    entry = key_entry("p256")
    read = load_pkcs12(write_keystore("pkcs12", keys=[entry], password=PASSWORD), PASSWORD.encode())
    assert read.cert is not None
    assert read.cert.friendly_name == b"p256"
    assert len(read.additional_certs) == 2


def test_no_two_files_are_encrypted_alike() -> None:
    for store_format in FORMATS:
        first, second = (
            write_keystore(store_format, keys=KEYS[:1], password=PASSWORD) for _ in range(2)
        )
        assert first != second


def test_jceks_is_only_read() -> None:
    with pytest.raises(KeystoreError, match=r"^format: JCEKS is only read"):
        write_keystore("jceks", keys=KEYS, password=PASSWORD)


@pytest.mark.parametrize("store_format", FORMATS)
def test_rule_26_a_key_with_the_certificate_of_another_is_not_written(store_format: Format) -> None:
    first, second, _ = KEYS
    mixed = replace(first, chain=second.chain)
    with pytest.raises(KeystoreError, match="“rsa2048” does not belong to the first certificate"):
        write_keystore(store_format, keys=[mixed], password=PASSWORD)
    upside_down = replace(first, chain=first.chain[::-1])
    with pytest.raises(KeystoreError, match="put its own certificate first"):
        write_keystore(store_format, keys=[upside_down], password=PASSWORD)


def test_a_key_without_a_certificate_or_that_is_none_is_not_written() -> None:
    for wrong in (
        replace(KEYS[0], chain=()),
        replace(KEYS[0], chain=(b"garbage",)),
        replace(KEYS[0], private_key=b"garbage"),
    ):
        with pytest.raises(KeystoreError, match="“rsa2048”") as caught:
            write_keystore("pkcs12", keys=[wrong], password=PASSWORD)
        assert "garbage" not in str(caught.value)


@pytest.mark.parametrize("store_format", FORMATS)
def test_rule_30_aliases_and_passwords_are_checked_in_every_format(store_format: Format) -> None:
    twice = [replace(trusted_entry(), alias="p256")]
    with pytest.raises(KeystoreError, match="twice"):
        write_keystore(store_format, keys=[key_entry("p256")], trusted=twice, password=PASSWORD)
    with pytest.raises(KeystoreError, match=r"^password: 8"):
        write_keystore(store_format, keys=KEYS, password="short")


def test_a_pem_truststore_is_plain_text() -> None:
    text = write_truststore("pem", [trusted_entry()], password="").decode()
    assert "friendlyName: root" in text
    assert re.findall("-----BEGIN (.*)-----", text) == ["CERTIFICATE"]


def test_pem_holds_encrypted_keys_each_with_its_chain() -> None:
    text = write_keystore("pem", keys=KEYS[1:], password=PASSWORD).decode()
    of_one = ["ENCRYPTED PRIVATE KEY", "CERTIFICATE", "CERTIFICATE", "CERTIFICATE"]
    assert re.findall("-----BEGIN (.*)-----", text) == of_one * 2
    assert max(map(len, text.splitlines())) == 64


@pytest.mark.parametrize("store_format", FORMATS)
def test_ten_thousand_trusted_certificates_are_written_in_less_than_two_seconds(
    store_format: Format,
) -> None:
    assert store_format != "jceks"
    trusted = [replace(trusted_entry(), alias=f"root-{number}") for number in range(10_000)]
    before = time.process_time()
    written = write_truststore(store_format, trusted, password=PASSWORD)
    assert time.process_time() - before < 2
    assert len(written) > 10_000 * len(trusted_entry().certificate)


def test_a_keystore_is_written_whole_for_its_owner_alone_and_over_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.p12"
    write_file(path, b"first")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConflictError, match="exists already"):
        write_file(path, b"second")
    assert [each.name for each in tmp_path.iterdir()] == ["store.p12"]
    assert path.read_bytes() == b"first"
    with pytest.raises(InvalidRequestError, match="Cannot write"):
        write_file(tmp_path / "nowhere" / "store.p12", b"third")


def test_a_private_key_shows_in_no_repr() -> None:
    entry = KeyEntry(alias="a", private_key=b"\x01secret", chain=())
    assert "secret" not in repr(entry)
