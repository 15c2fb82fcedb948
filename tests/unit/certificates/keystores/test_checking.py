"""What is checked of every entry when it comes in, once and for all."""

import time
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ed448, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from tests.unit.certificates.certificate_maker import make_der
from tests.unit.certificates.keystores.material import (
    der,
    intermediate,
    key_entry,
    new_key,
    pkcs8,
    root,
    sign,
    trusted_entry,
)
from workers.certificates.keystores.checking import check_entries
from workers.certificates.keystores.entries import KeyEntry, KeystoreReading, TrustedEntry
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.limits import Limits

P256 = key_entry("p256")
LEAF, INTERMEDIATE, ROOT = P256.chain


def check(private_key: bytes, chain: Sequence[bytes]) -> KeystoreReading:
    entry = KeyEntry(alias="server", private_key=private_key, chain=tuple(chain))
    return check_entries(KeystoreReading(format="jks", keys=(entry,)), Limits())


def faults_of(private_key: bytes, *chain: bytes) -> list[str]:
    reading = check(private_key, chain)
    assert not (reading.keys and reading.faults)
    assert all(each.alias == "server" for each in reading.faults)
    return [str(each) for each in reading.faults]


@pytest.mark.parametrize("key_type", ["rsa2048", "p256", "ed25519"])
def test_a_key_with_its_chain_is_good(key_type: str) -> None:
    entry = key_entry(key_type)
    reading = check(entry.private_key, entry.chain)
    assert reading.faults == ()
    assert reading.keys[0].private_key == entry.private_key
    assert reading.keys[0].chain == entry.chain


def test_rule_26_a_key_and_certificate_that_are_no_pair_are_refused() -> None:
    [said] = faults_of(pkcs8(new_key("ed25519")), *P256.chain)
    assert said.startswith(
        "The private key of “server” does not match its certificate chain: replace"
    )


def test_rule_26_a_chain_that_does_not_begin_with_its_leaf_is_refused_with_the_remedy() -> None:
    [said] = faults_of(P256.private_key, ROOT, INTERMEDIATE, LEAF)
    assert "certificate 3 would match: write the chain with that one first" in said


@pytest.mark.parametrize("chain", [(LEAF,), (LEAF, INTERMEDIATE), P256.chain])
def test_a_chain_may_end_before_its_root(chain: tuple[bytes, ...]) -> None:
    assert faults_of(P256.private_key, *chain) == []


def test_a_gap_and_a_surplus_in_a_chain_are_refused_with_their_place() -> None:
    [said] = faults_of(P256.private_key, LEAF, ROOT, ROOT)
    assert "certificate 2 did not sign certificate 1" in said
    [said] = faults_of(P256.private_key, *P256.chain, LEAF)
    assert "certificate 4 did not sign certificate 3" in said


def test_an_altered_self_signed_certificate_is_refused() -> None:
    [said] = faults_of(P256.private_key, LEAF, INTERMEDIATE, ROOT[:-1] + bytes([ROOT[-1] ^ 1]))
    assert "Certificate 3 of “server” is not as it was" in said


def test_everything_about_an_entry_is_said_at_once() -> None:
    said = faults_of(b"no key", b"junk", LEAF, b"")
    assert [each.partition(":")[0] for each in said] == [
        "The key of “server” is not in PKCS #8 format",
        "Certificate 1 of “server” cannot be read",
        "Certificate 3 of “server” cannot be read",
    ]


def test_rule_26_a_private_key_without_a_certificate_is_refused() -> None:
    [said] = faults_of(P256.private_key)
    assert "No certificate of the keystore belongs to the key of “server”" in said


@pytest.mark.parametrize("key_type", ["rsa2048", "p256"])
def test_rule_26_a_key_that_is_not_in_pkcs8_is_refused(key_type: str) -> None:
    key = new_key(key_type)
    traditional = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    [said] = faults_of(traditional, *key_entry(key_type).chain)
    assert "not in PKCS #8 format" in said


def test_a_key_of_a_type_without_use_is_refused() -> None:
    for key, said in (
        (dsa.generate_private_key(1024), "of the type DSA"),
        (ed448.Ed448PrivateKey.generate(), "of the type Ed448"),
    ):
        encoded = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        assert said in faults_of(encoded, *P256.chain)[0]


def test_an_rsa_key_whose_numbers_are_no_primes_is_refused() -> None:
    key = new_key("rsa2048")
    assert isinstance(key, rsa.RSAPrivateKey)
    numbers = key.private_numbers()
    p, q = numbers.p * 3, numbers.q  # a product that fits, of what is not prime
    e = 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    weak = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(e, p * q)
    ).private_key(unsafe_skip_rsa_key_validation=True)
    encoded = pkcs8(weak)
    load_der_private_key(encoded, None, unsafe_skip_rsa_key_validation=True)
    [said] = faults_of(encoded, der(sign("weak", key, issuer=None)))
    assert "make no valid key" in said


def test_rule_26_a_huge_rsa_key_is_refused_without_testing_its_primes() -> None:
    half = 1 << 16383
    numbers = rsa.RSAPrivateNumbers(
        half + 1, half + 3, 65537, 3, 3, 3, rsa.RSAPublicNumbers(65537, (half + 1) * (half + 3))
    )
    huge = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    begun = time.process_time()
    [said] = faults_of(pkcs8(huge), LEAF)
    assert time.process_time() - begun < 1
    assert "must have 2048, 3072 or 4096" in said


def test_rule_20_a_chain_of_more_than_ten_is_refused() -> None:
    [said] = faults_of(P256.private_key, LEAF, *[INTERMEDIATE] * 10)
    assert "has 11 certificates: 10 are allowed" in said


def test_a_broken_trusted_certificate_is_named() -> None:
    reading = check_entries(
        KeystoreReading(
            format="jks",
            trusted=(trusted_entry(), TrustedEntry(alias="old", certificate=make_der()[:-3])),
        ),
        Limits(),
    )
    assert [each.alias for each in reading.trusted] == ["root"]
    assert [(each.alias, each.code) for each in reading.faults] == [("old", "trusted-unreadable")]


def test_more_keys_or_entries_than_allowed_are_refused() -> None:
    reading = KeystoreReading(format="jks", keys=(P256,) * 3, trusted=(trusted_entry(),) * 3)
    for limits, said in (
        (Limits(max_keys=2), "3 private keys; 2 are allowed"),
        (Limits(max_entries=5), "6 entries; 5 are allowed"),
    ):
        with pytest.raises(KeystoreError, match=said):
            check_entries(reading, limits)


def test_two_authorities_of_one_name_are_told_apart_by_the_signature() -> None:
    key = new_key("ed25519")
    namesake = sign("Intermediate", key, issuer=root(), is_authority=True)
    assert namesake.subject == intermediate()[0].subject
    [said] = faults_of(P256.private_key, LEAF, der(namesake))
    assert "did not sign" in said
