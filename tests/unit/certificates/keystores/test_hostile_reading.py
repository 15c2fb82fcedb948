"""Damaged and hostile keystores: one clear error, or what was there; bounded time and memory."""

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.certificates.certificate_maker import make_der, oid, pem, sequence, tlv
from tests.unit.certificates.keystores.java_store_maker import (
    JCEKS,
    JKS,
    PASSWORD,
    VECTORS,
    VECTORS_PASSWORD,
    java_key,
    java_store,
    java_trusted,
    jce_protected,
    protect,
    signed,
)
from tests.unit.certificates.keystores.material import key_entry, trusted_entry
from workers.certificates.keystores import der_writing as der
from workers.certificates.keystores import pkcs12_structure as structure
from workers.certificates.keystores.entries import KeystoreReading
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.limits import Limits
from workers.certificates.keystores.pkcs12_writing import _content_info, _mac
from workers.certificates.keystores.reading import read_keystore
from workers.certificates.keystores.writing import write_keystore

KEYS = (key_entry("p256"), key_entry("ed25519"))
TRUSTED = (trusted_entry(),)
LIMITS = Limits(cpu_seconds=2, wall_seconds=10)
SECONDS_AT_MOST = 12


@dataclass(frozen=True)
class Seed:
    """A good keystore; ``sign`` makes the integrity of a damaged one good, as its owner could."""

    data: bytes
    password: str = PASSWORD
    sign: Callable[[bytes], bytes] = bytes


def made(store_format: str) -> bytes:
    return write_keystore(store_format, keys=KEYS, trusted=TRUSTED, password=PASSWORD)  # type: ignore[arg-type]


def pkcs12_around(authenticated: bytes) -> bytes:
    content = _content_info(structure.DATA, der.octets(authenticated))
    return der.sequence(der.integer(3), content, _mac(authenticated, PASSWORD))


@cache
def seed(kind: str) -> Seed:
    if kind == "jks":
        return Seed(made("jks"))
    if kind == "jks, signed":
        return Seed(made("jks")[:-20], sign=signed)
    if kind in ("jceks", "jceks with a secret key, signed"):
        name = "jdk25-secret.jceks" if "secret" in kind else "jdk25.jceks"
        data = (VECTORS / name).read_bytes()
        if "signed" not in kind:
            return Seed(data, VECTORS_PASSWORD)
        return Seed(data[:-20], VECTORS_PASSWORD, lambda it: signed(it, VECTORS_PASSWORD))
    if kind == "pkcs12":
        return Seed(made("pkcs12"))
    if kind == "pkcs12, signed":
        return Seed(structure.open_file(made("pkcs12"))[0], sign=pkcs12_around)
    return Seed(made("pem"))


KINDS = (
    "jks",
    "jks, signed",
    "jceks",
    "jceks with a secret key, signed",
    "pkcs12",
    "pkcs12, signed",
    "pem",
)


def read(data: bytes, password: str = PASSWORD) -> KeystoreReading | None:
    """Return the reading, or None after one clear error; fail if it takes long."""
    begun = time.monotonic()
    try:
        reading = read_keystore(data, store_password=password, limits=LIMITS)
    except KeystoreError as error:
        assert_is_clear(str(error))
        return None
    finally:
        assert time.monotonic() - begun < SECONDS_AT_MOST
    for each in reading.faults:
        assert_is_clear(str(each))
    return reading


@cache
def original_of(kind: str) -> KeystoreReading:
    good = seed(kind)
    reading = read(good.sign(good.data), good.password)
    assert reading is not None
    assert reading.faults == ()
    return reading


def assert_is_clear(sentence: str) -> None:
    assert sentence.isprintable()
    assert sentence.endswith(".")
    assert 20 < len(sentence) < 400
    assert PASSWORD not in sentence
    assert VECTORS_PASSWORD not in sentence
    assert "Error" not in sentence
    assert "Exception" not in sentence


def assert_is_true_to(reading: KeystoreReading, original: KeystoreReading) -> None:
    """Check that every key is one of the original's, and its chain no other than it had."""
    chains = {each.private_key: each.chain for each in original.keys}
    for each in reading.keys:
        assert each.chain
        assert each.chain == chains[each.private_key][: len(each.chain)]


damages = st.lists(
    st.tuples(
        st.integers(0, 1 << 16),
        st.integers(0, 4),
        st.one_of(
            st.binary(max_size=4),
            st.sampled_from([b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4), b"\x30\x80", b"\xff"]),
        ),
    ),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(damages=damages, kept=st.one_of(st.none(), st.integers(0, 1 << 16)))
def test_no_damage_to_a_keystore_does_more_than_one_clear_error(
    kind: str, damages: list[tuple[int, int, bytes]], kept: int | None
) -> None:
    good = seed(kind)
    original = original_of(kind)
    data = good.data
    for anywhere, gone, added in damages:
        place = anywhere % (len(data) or 1)
        data = data[:place] + added + data[place + gone :]
    if kept is not None:
        data = data[: kept % (len(data) + 1)]
    reading = read(good.sign(data), good.password)
    if reading is None:
        return
    if kind == "pem":  # which has no integrity but that of each key
        assert {each.private_key for each in reading.keys} <= {
            each.private_key for each in original.keys
        }
    elif "signed" in kind:
        assert_is_true_to(reading, original)
    else:
        assert reading == original


@pytest.mark.parametrize("kind", KINDS)
def test_every_wrong_password_is_one_clear_error(kind: str) -> None:
    good = seed(kind)
    for password in ("", "x", PASSWORD + "x", PASSWORD.upper(), "ü\ud800\0", "x" * 1000):
        reading = read(good.sign(good.data), password)
        assert reading is None or (kind == "pem" and not reading.keys and reading.faults)


def java_object(*parts: bytes) -> bytes:
    """Encode an entry with a serialized Java object."""
    head = struct.pack(">IH", 3, 1) + b"a" + bytes(8)
    return java_store(head + b"\xac\xed\x00\x05" + b"".join(parts), magic=JCEKS, count=1)


def java_class(name: bytes, *, flags: bytes = b"\2", fields: bytes = b"\0\0") -> bytes:
    return b"\x72" + struct.pack(">H", len(name)) + name + bytes(8) + flags + fields + b"\x78"


def encrypted_pem(number: int) -> bytes:
    salt = tlv(4, b"%08d" % number)
    derivation = sequence(oid("1.2.840.113549.1.5.12"), sequence(salt, tlv(2, b"\x4c\x4b\x40")))
    cipher = sequence(oid("2.16.840.1.101.3.4.1.42"), tlv(4, bytes(16)))
    scheme = sequence(oid("1.2.840.113549.1.5.13"), sequence(derivation, cipher))
    return pem(sequence(scheme, tlv(4, bytes(64))), "ENCRYPTED PRIVATE KEY")


BIG = 12_000_000
LEAF = make_der()
HOSTILE: dict[str, Callable[[], bytes]] = {
    "nothing but claims": lambda: java_store(count=0xFFFF_FFFF),
    "a chain without end": lambda: java_store(java_key(b"a", b"", LEAF)[:-30], count=1).replace(
        b"\0\0\0\1\0\5X.509", b"\xff\xff\xff\xff\0\5X.509"
    ),
    "an entry of 4 GiB": lambda: signed(
        JKS + struct.pack(">IIIHQIH", 2, 1, 2, 0, 0, 0xFFFF_FFFF, 0)
    ),
    "tiny entries": lambda: java_store(*(java_trusted(b"%d" % n, b"") for n in range(20_000))),
    "tiny certificates in one chain": lambda: java_store(java_key(b"a", b"", *[b""] * 1_000_000)),
    "long aliases": lambda: java_store(
        *(java_trusted(b"%05d" % n + b"\xc0\x80" * 32_000, b"") for n in range(180))
    ),
    "a huge key": lambda: java_store(java_key(b"a", protect(bytes(BIG // 6)), LEAF)),
    "a huge certificate": lambda: java_store(java_trusted(b"a", tlv(0x30, b"\5\0" * (BIG // 2)))),
    "a key nested without lengths": lambda: java_store(java_key(b"a", b"\x30\x80" * (BIG // 2))),
    "endless derivations": lambda: java_store(
        *(java_key(b"%d" % n, jce_protected(5_000_000), LEAF) for n in range(900)), magic=JCEKS
    ),
    "a Java array of 2 GiB": lambda: java_object(
        b"\x75", java_class(b"[B"), b"\x70", b"\x7f\xff\xff\xff"
    ),
    "a Java array of arrays": lambda: java_object(
        *[b"\x75" + java_class(b"[[B") + b"\x70\x7f\xff\xff\xff"] * 20_000
    ),
    "Java classes above each other": lambda: java_object(b"\x73", *[java_class(b"A")] * 100_000),
    "Java fields without end": lambda: java_object(
        b"\x73", java_class(b"A", fields=b"\xff\xff" + b"B\0\1x" * 65_535)
    ),
    "PKCS #12 nested without lengths": lambda: b"\x30\x80" * (BIG // 2),
    "PKCS #12 with a long integer": lambda: sequence(
        tlv(2, b"\7" * (BIG // 2)), sequence(oid(structure.DATA)), sequence()
    ),
    "PKCS #12 of tiny parts": lambda: pkcs12_around(sequence(b"\x30\0" * (BIG // 2))),
    "PKCS #12 bags of tiny parts": lambda: pkcs12_around(
        sequence(_content_info(structure.DATA, der.octets(sequence(b"\x30\0" * (BIG // 2)))))
    ),
    "dashes": lambda: b"-----BEGIN " + b"-" * BIG,
    "an endless label": lambda: b"-----BEGIN " + b"A" * BIG,
    "begins without ends": lambda: b"-----BEGIN PRIVATE KEY-----\n" * (BIG // 28),
    "certificates of nothing": lambda: pem(b"") * (BIG // 60),
    "blanks": lambda: b" " * BIG + pem(b""),
    "names": lambda: b"friendlyName: " * (BIG // 14) + b"\n" + pem(LEAF),
    "short lines": lambda: b"a\n" * (BIG // 2) + pem(LEAF),
    "one certificate many times": lambda: pem(LEAF) * 15_000,
    "many keys with endless derivations": lambda: b"".join(map(encrypted_pem, range(900))),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_keystore_is_done_with_in_seconds(kind: str) -> None:
    reading = read(HOSTILE[kind]())
    assert reading is None or not reading.keys
