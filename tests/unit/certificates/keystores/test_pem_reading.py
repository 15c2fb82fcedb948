"""PEM files: keys in every form, certificates in any order, and the names of both."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from tests.unit.certificates.certificate_maker import make_der, oid, pem, sequence, tlv
from tests.unit.certificates.keystores.java_store_maker import PASSWORD
from tests.unit.certificates.keystores.material import (
    der,
    intermediate,
    key_entry,
    new_key,
    sign,
    trusted_entry,
)
from workers.certificates.keystores.entries import KeyEntry, KeystoreReading
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.limits import Limits
from workers.certificates.keystores.parsing import parse_keystore
from workers.certificates.keystores.writing import write_keystore
from workers.certificates.private_keys import PrivateKey

P256, RSA = key_entry("p256"), key_entry("rsa2048")
CLEAR = NoEncryption()
OWN = "its-own-password"


def read(
    data: bytes, key_password: str | None = None, limits: Limits | None = None
) -> KeystoreReading:
    return parse_keystore(
        data, store_password=PASSWORD, key_password=key_password, limits=limits or Limits()
    )


def key_block(
    key: PrivateKey, form: PrivateFormat, encryption: KeySerializationEncryption = CLEAR
) -> bytes:
    return key.private_bytes(Encoding.PEM, form, encryption)


def certificates(*chain: bytes) -> bytes:
    return b"".join(map(pem, chain))


def pair(reading: KeystoreReading) -> tuple[KeyEntry, ...]:
    """Return the keys without what they are called."""
    assert reading.faults == ()
    return tuple(replace(each, alias="") for each in reading.keys)


def expected(entry: KeyEntry, *, has_own_password: bool = False) -> tuple[KeyEntry, ...]:
    return (replace(entry, alias="", has_own_password=has_own_password),)


@pytest.mark.parametrize(
    ("form", "encrypted"),
    [
        (PrivateFormat.PKCS8, False),
        (PrivateFormat.PKCS8, True),
        (PrivateFormat.TraditionalOpenSSL, False),
        (PrivateFormat.TraditionalOpenSSL, True),
    ],
)
@pytest.mark.parametrize("entry", [P256, RSA], ids=["p256", "rsa2048"])
def test_a_key_is_read_in_every_form(form: PrivateFormat, encrypted: bool, entry: KeyEntry) -> None:
    key = new_key(entry.alias)
    encryption = BestAvailableEncryption(PASSWORD.encode()) if encrypted else CLEAR
    block = key_block(key, form, encryption)
    assert (b"ENCRYPTED" in block) is encrypted
    assert pair(read(block + certificates(*entry.chain))) == expected(entry)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_rule_25_a_key_may_have_a_password_of_its_own(form: PrivateFormat) -> None:
    block = key_block(new_key("p256"), form, BestAvailableEncryption(OWN.encode()))
    data = block + certificates(*P256.chain)
    assert pair(read(data, OWN)) == expected(P256, has_own_password=True)
    for wrong, said in ((None, "that is not the keystore's"), ("x", "Neither the store password")):
        [fault] = read(data, wrong).faults
        assert (fault.alias, fault.code) == ("key_on_line_1", "key-password")
        assert said in str(fault)


def test_blocks_may_stand_in_any_order_with_text_between() -> None:
    keys = (
        key_block(new_key("p256"), PrivateFormat.PKCS8),
        key_block(new_key("rsa2048"), PrivateFormat.PKCS8),
    )
    leaf_of_p256, issuer, root = P256.chain
    data = b"".join(
        (
            certificates(root, RSA.chain[0]),
            b"some words\n",
            keys[0],
            certificates(issuer),
            b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n",
            certificates(leaf_of_p256),
            keys[1],
        )
    )
    reading = read(data)
    assert pair(reading) == (*expected(P256), *expected(RSA))
    assert [each.alias for each in reading.keys] == ["p256", "rsa2048"]
    assert reading.trusted == ()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_the_encoding_and_the_ends_of_lines_do_not_matter(encoding: str) -> None:
    data = key_block(new_key("p256"), PrivateFormat.PKCS8) + certificates(*P256.chain)
    text = data.decode().replace("\n", "\r\n")
    assert pair(read(text.encode(encoding))) == expected(P256)


def test_what_keywright_writes_comes_back_with_its_names() -> None:
    keys = (replace(P256, alias="one"), replace(RSA, alias="two"))
    other = replace(trusted_entry(), alias="odd.one", certificate=make_der("odd"))
    data = write_keystore("pem", keys=keys, trusted=(other,), password=PASSWORD)
    reading = read(data)
    assert (reading.keys, reading.trusted, reading.faults) == (keys, (other,), ())


def test_keys_whose_certificates_have_one_name_get_numbers() -> None:
    keys = [new_key("p256"), new_key("ed25519")]
    data = b"".join(
        key_block(key, PrivateFormat.PKCS8)
        + certificates(der(sign("WWW.example", key, issuer=intermediate())))
        for key in keys
    )
    assert [each.alias for each in read(data).keys] == ["www_example", "www_example_2"]


def test_rule_26_a_key_without_its_certificate_is_a_fault() -> None:
    block = key_block(new_key("ed25519"), PrivateFormat.PKCS8)
    [fault] = read(block + certificates(*P256.chain)).faults
    assert (fault.alias, fault.code) == ("key_on_line_1", "no-certificate")
    [fault] = read(b"friendlyName: lonely\n" + block).faults
    assert (fault.alias, fault.code) == ("lonely", "no-certificate")


def test_certificates_alone_are_trusted_ones() -> None:
    reading = read(certificates(make_der("a"), make_der("b"), make_der("b")))
    assert [each.alias for each in reading.trusted] == ["a", "b"]
    assert (reading.keys, reading.faults) == ((), ())


def test_certificates_may_come_in_a_bundle() -> None:
    parts = (tlv(2, b"\1"), tlv(0x31), sequence(), tlv(0xA0, *P256.chain))
    bundle = sequence(oid("1.2.840.113549.1.7.2"), tlv(0xA0, sequence(*parts)))
    data = key_block(new_key("p256"), PrivateFormat.PKCS8) + pem(bundle, "PKCS7")
    assert pair(read(data)) == expected(P256)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (pem(b"x", "OPENSSH PRIVATE KEY"), "in a form of its own, not in PKCS #8"),
        (pem(b"x", "RSA PRIVATE KEY"), "it is damaged"),
        (pem(b"x", "PRIVATE KEY"), "not in PKCS #8 format"),
        (pem(b"\x30\x00", "ENCRYPTED PRIVATE KEY"), "no encrypted PKCS #8"),
        (pem(b"\x30\x80" * 9000, "ENCRYPTED PRIVATE KEY"), "cannot be read"),
        (pem(bytes(100_000), "PRIVATE KEY"), "far too large"),
        (b"-----BEGIN PRIVATE KEY-----\nMII*\n-----END PRIVATE KEY-----\n", "base64"),
        (b"-----BEGIN PRIVATE KEY-----\nMII=\n", "-----END line is missing"),
    ],
)
def test_a_broken_key_is_one_fault_beside_the_others(block: bytes, said: str) -> None:
    data = key_block(new_key("p256"), PrivateFormat.PKCS8) + certificates(*P256.chain) + block
    reading = read(data)
    assert [each.alias for each in reading.keys] == ["p256"]
    [fault] = reading.faults
    assert said in str(fault)


def test_a_broken_certificate_is_a_fault_with_its_line() -> None:
    [fault] = read(certificates(P256.chain[0]) + pem(b"\x30\x20")).faults
    assert (fault.alias, fault.code) == (None, "certificate-unreadable")
    assert "on line" in str(fault)


def encrypted(iterations: int) -> bytes:
    """Make an encrypted key that no password opens, but only after so many iterations."""
    count = iterations.to_bytes(4, "big")
    derivation = sequence(
        oid("1.2.840.113549.1.5.12"), sequence(tlv(4, b"salt-salt"), tlv(2, count))
    )
    cipher = sequence(oid("2.16.840.1.101.3.4.1.42"), tlv(4, bytes(16)))
    scheme = sequence(oid("1.2.840.113549.1.5.13"), sequence(derivation, cipher))
    return pem(sequence(scheme, tlv(4, bytes(64))), "ENCRYPTED PRIVATE KEY")


def test_iterations_are_counted_before_they_are_done() -> None:
    [fault] = read(encrypted(1000)).faults
    assert fault.code == "key-password"
    [fault] = read(encrypted(5_000_001)).faults
    assert fault.code == "key-unreadable"
    assert "more iterations of its key derivation than the 5,000,000 allowed" in str(fault)


def test_more_keys_or_certificates_than_allowed_are_refused() -> None:
    block = key_block(new_key("p256"), PrivateFormat.PKCS8)
    for data, said in (
        (block * 3, "more than 2 private keys"),
        (certificates(*P256.chain), "more than 2 certificates"),
    ):
        with pytest.raises(KeystoreError, match=said):
            read(data, limits=Limits(max_keys=2, max_entries=2))


def test_a_file_without_keys_and_certificates_is_refused() -> None:
    with pytest.raises(KeystoreError, match="neither private keys nor certificates"):
        read(pem(b"x", "PUBLIC KEY"))
