"""JKS and JCEKS: what Java wrote, and what could have been written to harm."""

import logging

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key
from jks.sun_crypto import jce_pbe_decrypt
from jks.util import BadPaddingException

from tests.unit.certificates.certificate_maker import make_der, oid, sequence, tlv
from tests.unit.certificates.keystores.java_store_maker import (
    JCE_PROTECTION,
    JCEKS,
    PASSWORD,
    VECTORS,
    VECTORS_PASSWORD,
    java_key,
    java_store,
    java_trusted,
    jce_protected,
    protect,
)
from tests.unit.certificates.keystores.material import key_entry, pkcs8
from workers.certificates.keystores.entries import KeystoreReading
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.limits import Limits
from workers.certificates.keystores.parsing import parse_keystore

P256 = key_entry("p256")


def read(
    data: bytes,
    store_password: str = PASSWORD,
    key_password: str | None = None,
    limits: Limits | None = None,
) -> KeystoreReading:
    return parse_keystore(
        data,
        store_password=store_password,
        key_password=key_password,
        limits=limits or Limits(),
    )


def read_vector(name: str, key_password: str | None = None) -> KeystoreReading:
    return read((VECTORS / name).read_bytes(), VECTORS_PASSWORD, key_password)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("jdk25-rsa.jks", {"server": 2}),
        ("jdk25-ec.jks", {"p256": 1, "p384": 1, "ed25519": 1}),
        ("jdk25.jceks", {"server": 2, "p256": 1}),
    ],
)
def test_keys_written_by_a_jdk_from_20_on_are_read(name: str, keys: dict[str, int]) -> None:
    reading = read_vector(name)
    assert reading.faults == ()
    assert {each.alias: len(each.chain) for each in reading.keys} == keys
    assert not any(each.has_own_password for each in reading.keys)


def test_a_trusted_certificate_is_no_key() -> None:
    assert [each.alias for each in read_vector("jdk25-rsa.jks").trusted] == ["authority"]


def test_a_secret_key_is_passed_over() -> None:
    reading = read_vector("jdk25-secret.jceks")
    assert (reading.format, reading.keys, reading.passed_over) == ("jceks", (), ("aes",))


def test_rule_25_a_key_under_another_password_is_a_fault_that_names_the_entry() -> None:
    reading = read_vector("jdk25-key-password.jks")
    assert reading.keys == ()
    assert [(each.alias, each.code) for each in reading.faults] == [("p256", "key-password")]
    assert "“p256” has a password that is not the keystore's" in str(reading.faults[0])


def test_rule_25_a_key_that_its_own_password_opens_says_so() -> None:
    [key] = read_vector("jdk25-key-password.jks", "another-25").keys
    assert key.has_own_password
    load_der_private_key(key.private_key, None)


def test_rule_25_a_wrong_key_password_is_a_fault() -> None:
    [fault] = read_vector("jdk25-key-password.jks", "nothing-like-it").faults
    assert "Neither the store password nor the key password opens" in str(fault)


def test_a_key_password_is_no_hindrance_to_keys_under_the_stores() -> None:
    assert len(read_vector("jdk25-ec.jks", "another-25").keys) == 3


def test_a_wrong_password_and_an_altered_file_are_told_from_one_cut_off() -> None:
    whole = java_store(java_trusted(b"a", make_der()))
    for data, password, said in (
        (whole, "other", "password is wrong, or the keystore was altered"),
        (whole[:-1] + b"x", PASSWORD, "password is wrong, or the keystore was altered"),
        (whole[:-30], PASSWORD, "cut off or damaged"),
        (whole[:7], PASSWORD, "cut off or damaged"),
    ):
        with pytest.raises(KeystoreError, match=said):
            read(data, password)


@pytest.mark.parametrize("alias", ["smile 😀", "nul \0 within", "ü", "٣"])
def test_any_alias_is_read_as_java_writes_it(alias: str) -> None:
    units = alias.encode("utf-16-be")
    letters = (
        units[at : at + 2].decode("utf-16-be", "surrogatepass") for at in range(0, len(units), 2)
    )
    java = b"".join(
        each.encode("utf-8", "surrogatepass").replace(b"\0", b"\xc0\x80") for each in letters
    )
    assert [each.alias for each in read(java_store(java_trusted(java, make_der()))).trusted] == [
        alias
    ]


def test_two_entries_with_one_alias_are_refused() -> None:
    entry = java_trusted(b"a", make_der())
    with pytest.raises(KeystoreError, match="two entries with the same alias"):
        read(java_store(entry, entry))


@pytest.mark.parametrize(
    ("protected", "said"),
    [
        (jce_protected(5_000_001), "more iterations than the 5,000,000 allowed"),
        (jce_protected(1 << 64), "more iterations than the 5,000,000 allowed"),
        (jce_protected(0), "number of iterations"),
        (jce_protected(1, salt=b"123"), "the salt"),
        (sequence(sequence(oid("1.2.3.4")), tlv(4, bytes(64))), "1.2.3.4 is not known"),
        (sequence(sequence(JCE_PROTECTION), tlv(4, bytes(64))), "its protection cannot be read"),
        (sequence(sequence(oid("1.2.3.4"))), "its protection cannot be read"),
        (b"\x30" * 20_000, "cut off"),
        (b"", "cut off"),
        (protect(bytes(100_000)), "very large"),
    ],
)
def test_a_key_that_cannot_be_read_is_one_fault_beside_the_others(
    protected: bytes, said: str
) -> None:
    entries = (
        java_key(b"bad", protected, *P256.chain),
        java_key(b"good", protect(P256.private_key), *P256.chain),
    )
    reading = read(java_store(*entries, magic=JCEKS))
    assert [each.alias for each in reading.keys] == ["good"]
    [fault] = reading.faults
    assert (fault.alias, fault.code) == ("bad", "key-unreadable")
    assert said in str(fault)


@pytest.mark.parametrize("password", ["pässwörd", "\ud800"])
def test_a_password_that_no_program_can_have_written_opens_nothing(password: str) -> None:
    data = java_store(java_key(b"a", jce_protected(1), *P256.chain), magic=JCEKS)
    [fault] = read(data, PASSWORD, password).faults
    assert fault.code == "key-password"


def test_rule_25_a_wrong_password_under_which_the_padding_fits_is_wrong_all_the_same() -> None:
    protected = jce_protected(1)
    data = java_store(java_key(b"a", protected, *P256.chain), magic=JCEKS)
    fitting = [guess for guess in map(str, range(3000)) if padding_fits(guess)]
    assert fitting
    for guess in fitting:
        [fault] = read(data, PASSWORD, guess).faults
        assert fault.code == "key-password"


def padding_fits(password: str) -> bool:
    """Tell whether pyjks takes a password for that of a ciphertext of zeros."""
    try:
        jce_pbe_decrypt(bytes(64), password, b"12345678", 1)
    except BadPaddingException:
        return False
    return True


def test_a_claim_of_more_entries_than_allowed_is_not_believed() -> None:
    with pytest.raises(KeystoreError, match="claims 4,294,967,295 entries; 20,000 are allowed"):
        read(java_store(count=0xFFFF_FFFF))
    with pytest.raises(KeystoreError, match="cut off or damaged"):
        read(java_store(java_trusted(b"a", make_der()), count=20_000))


def test_nothing_of_a_damaged_secret_key_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    data = (VECTORS / "jdk25-secret.jceks").read_bytes()
    with caplog.at_level(logging.DEBUG):
        for place in range(40, len(data), 37):
            with pytest.raises(KeystoreError):
                read(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
    assert [each for each in caplog.records if each.levelno >= logging.INFO] == []


def test_an_entrys_key_never_stands_in_its_repr() -> None:
    [key] = read(java_store(java_key(b"a", protect(P256.private_key), *P256.chain))).keys
    assert key.private_key == pkcs8(load_der_private_key(P256.private_key, None))  # type: ignore[arg-type]
    assert "private_key" not in repr(key)
