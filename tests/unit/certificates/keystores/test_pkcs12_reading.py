"""PKCS #12 files of every make are read whole: all keys, each with its chain."""

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.certificates.certificate_maker import oid, sequence, tlv
from tests.unit.certificates.keystores import pkcs12_maker as maker
from tests.unit.certificates.keystores.material import (
    KEY_TYPES,
    PASSWORD,
    Authority,
    der,
    key_entry,
    new_key,
    pkcs8,
    root,
    sign,
    trusted_entry,
)
from workers.certificates.keystores.entries import KeyEntry, KeystoreReading
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.limits import Limits
from workers.certificates.keystores.pkcs12_reading import read_pkcs12
from workers.certificates.keystores.writing import write_keystore

VECTORS = Path(__file__).parents[3] / "vectors/keystores"
ENTRY = key_entry("p256")
LEAF, INTERMEDIATE, ROOT = ENTRY.chain


def read(
    data: bytes, password: str = PASSWORD, *, key_password: str | None = None, **limits: int
) -> KeystoreReading:
    return read_pkcs12(
        data, store_password=password, key_password=key_password, limits=Limits(**limits)
    )


def of_one_key(*certificates: bytes, key: bytes = maker.key_bag(ENTRY, key_id=b"1")) -> bytes:
    return maker.file_of([maker.in_the_clear(key), maker.encrypted(*certificates)])


def test_what_was_written_is_read_key_by_key() -> None:
    keys = tuple(key_entry(each) for each in KEY_TYPES)
    written = write_keystore("pkcs12", keys=keys, trusted=[trusted_entry()], password=PASSWORD)
    reading = read(written)
    assert reading == KeystoreReading(format="pkcs12", keys=keys, trusted=(trusted_entry(),))


def test_all_keys_of_a_file_are_found_where_other_libraries_stop_at_the_first() -> None:
    reading = read((VECTORS / "jdk25-multi.p12").read_bytes(), "changeit-25")
    assert [each.alias for each in reading.keys] == ["server", "p256", "p384", "ed25519"]
    assert [len(each.chain) for each in reading.keys] == [2, 1, 1, 1]
    assert [each.alias for each in reading.trusted] == ["authority"]


def test_the_order_in_the_file_does_not_matter() -> None:
    bags = [maker.certificate_bag(each) for each in (ROOT, INTERMEDIATE)]
    leaf = maker.certificate_bag(LEAF, key_id=b"1")
    for certificates in ([*bags, leaf], [leaf, *bags], [bags[0], leaf, bags[1]]):
        [key] = read(of_one_key(*certificates)).keys
        assert key.chain == ENTRY.chain


def test_a_key_without_an_id_finds_its_certificate_by_its_public_key() -> None:
    others = [maker.certificate_bag(each) for each in key_entry("rsa2048").chain]
    data = of_one_key(*others, maker.certificate_bag(LEAF), key=maker.key_bag(ENTRY, name="by-key"))
    reading = read(data)
    [key] = reading.keys
    assert (key.alias, key.chain) == ("by-key", ENTRY.chain)
    # A certificate of no key is not lost.
    assert [each.certificate for each in reading.trusted] == [key_entry("rsa2048").chain[0]]


def test_a_key_without_any_certificate_has_no_chain() -> None:
    assert [each.chain for each in read(of_one_key()).keys] == [()]


def test_an_entry_without_a_name_is_called_as_its_certificate() -> None:
    [key] = read(of_one_key(maker.certificate_bag(LEAF, key_id=b"1"))).keys
    assert key.alias == "p256"


def test_of_two_issuers_with_one_name_the_one_that_signed_is_taken() -> None:
    impostor = sign("Intermediate", new_key("rsa2048"), issuer=root(), is_authority=True)
    certificates = [der(impostor), INTERMEDIATE, ROOT]
    bags = [maker.certificate_bag(each) for each in certificates]
    [key] = read(of_one_key(maker.certificate_bag(LEAF, key_id=b"1"), *bags)).keys
    assert key.chain == ENTRY.chain


def test_chains_over_one_issuer_certified_twice_come_out_as_they_went_in() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    other_root = sign("Other root", key, issuer=None, is_authority=True)
    roots: list[Authority] = [root(), (other_root, key)]
    shared = ec.generate_private_key(ec.SECP256R1())
    middles: list[Authority] = [
        (sign("Shared", shared, issuer=issuer, is_authority=True), shared) for issuer in roots
    ]
    keys = []
    for number, which in enumerate([0, 1, 0]):
        own = ec.generate_private_key(ec.SECP256R1())
        leaf = sign(f"leaf-{number}", own, issuer=middles[which])
        chain = tuple(map(der, (leaf, middles[which][0], roots[which][0])))
        keys.append(KeyEntry(alias=f"leaf-{number}", private_key=pkcs8(own), chain=chain))
    assert list(read(write_keystore("pkcs12", keys=keys, password=PASSWORD)).keys) == keys


def test_a_chain_that_goes_round_ends() -> None:
    first, second = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    self_signed = sign("First", first, issuer=None, is_authority=True)
    over = sign("Second", second, issuer=(self_signed, first), is_authority=True)
    back = sign("First", first, issuer=(over, second), is_authority=True)
    own = new_key("p256")
    leaf = sign("leaf", own, issuer=(back, first))
    certificates = [maker.certificate_bag(der(each)) for each in (back, over)]
    [key] = read(of_one_key(maker.certificate_bag(der(leaf), key_id=b"1"), *certificates)).keys
    assert key.chain == (der(leaf), der(back), der(over))


def test_rule_25_a_key_under_another_password_is_opened_by_it_and_marked() -> None:
    other = "another-password"
    data = of_one_key(
        maker.certificate_bag(LEAF, key_id=b"1"),
        key=maker.key_bag(ENTRY, name="own", key_id=b"1", password=other),
    )
    [key] = read(data, key_password=other).keys
    assert (key.private_key, key.has_own_password) == (ENTRY.private_key, True)
    for wrong in (None, "wrong-password"):
        reading = read(data, key_password=wrong)
        assert reading.keys == ()
        [fault] = reading.faults
        assert (fault.alias, fault.code) == ("own", "key-password")


def test_one_key_password_for_some_keys_leaves_the_others_to_the_store_password() -> None:
    bags = [
        maker.key_bag(ENTRY, name="a", key_id=b"1"),
        maker.key_bag(ENTRY, name="b", key_id=b"1", password="another-password"),
    ]
    leaf = maker.certificate_bag(LEAF, key_id=b"1")
    data = maker.file_of([maker.in_the_clear(*bags), maker.encrypted(leaf)])
    reading = read(data, key_password="another-password")
    assert [each.has_own_password for each in reading.keys] == [False, True]


def test_keys_in_the_clear_secrets_and_bags_within_bags_are_dealt_with() -> None:
    plain = maker.bag(maker.KEY_BAG, ENTRY.private_key, name="plain", key_id=b"1")
    secret = maker.bag(maker.SECRET, sequence(), name="aes")
    nested = maker.bag(maker.SAFE, sequence(plain, secret))
    leaf = maker.certificate_bag(LEAF, key_id=b"1")
    reading = read(maker.file_of([maker.encrypted(nested, leaf)]))
    assert [each.alias for each in reading.keys] == ["plain"]
    assert reading.keys[0].private_key == ENTRY.private_key
    assert reading.passed_over == ("aes",)


def test_lengths_that_are_not_stated_and_octets_in_parts_are_read() -> None:
    authenticated = sequence(
        maker.in_the_clear(maker.key_bag(ENTRY, key_id=b"1")),
        maker.encrypted(maker.certificate_bag(LEAF, key_id=b"1")),
    )
    half = len(authenticated) // 2
    parts = maker.octets(authenticated[:half]) + maker.octets(authenticated[half:])
    in_parts = b"\x24\x80" + parts + b"\0\0"
    content = sequence(oid(maker.DATA), b"\xa0\x80" + in_parts + b"\0\0")
    data = b"\x30\x80" + tlv(2, b"\x03") + content + maker.mac_of(authenticated) + b"\0\0"
    assert [each.private_key for each in read(data).keys] == [ENTRY.private_key]


def test_a_mac_by_rfc_9579_is_checked() -> None:
    safes = [maker.in_the_clear(maker.key_bag(ENTRY, key_id=b"1"))]
    authenticated = sequence(*safes)
    good = maker.file_of(safes, mac=maker.pbmac1_of(authenticated))
    assert len(read(good).keys) == 1
    with pytest.raises(KeystoreError, match="the password is another"):
        read(good, "wrong-password")
    for length in (None, 1, 65):
        odd = maker.file_of(safes, mac=maker.pbmac1_of(authenticated, key_length=length))
        with pytest.raises(KeystoreError, match="states no key length, or an odd one"):
            read(odd)


def test_more_keys_or_entries_than_allowed_are_refused() -> None:
    keys = tuple(replace(ENTRY, alias=f"key-{number}") for number in range(3))
    data = write_keystore("pkcs12", keys=keys, password=PASSWORD)
    assert len(read(data, max_keys=3, max_entries=8).keys) == 3
    with pytest.raises(KeystoreError, match="more than 2 private keys"):
        read(data, max_keys=2)
    with pytest.raises(KeystoreError, match="more than 7 entries"):
        read(data, max_entries=7)
