"""Damaged and hostile files: nothing raises, nothing takes long, and what is whole is read."""

import time
from pathlib import Path

import certifi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.certificates.certificate_maker import make_der, oid, pem, sequence, tlv
from workers.certificates.reading.contents import read_certificates
from workers.certificates.reading.entries import MAX_FAULTS_PER_FILE
from workers.certificates.reading.found import FileReading

ONE, TWO = make_der("one"), make_der("two")


def read(data: bytes) -> FileReading:
    return read_certificates(data, source="file")


def test_a_file_with_too_many_faults_is_given_up_with_a_word() -> None:
    reading = read(pem(b"") * (MAX_FAULTS_PER_FILE + 10))
    assert len(reading.faults) == MAX_FAULTS_PER_FILE + 1
    assert "too many faults" in reading.faults[-1].what


SEEDS = [
    Path(certifi.where()).read_bytes()[:20_000],
    ONE + TWO,
    pem(ONE) + pem(b"x", "PRIVATE KEY") + pem(TWO),
    sequence(
        oid("1.2.840.113549.1.7.2"),
        tlv(0xA0, sequence(tlv(0x02, b"\1"), tlv(0x31), sequence(), tlv(0xA0, ONE, TWO))),
    ),
]


@settings(max_examples=400, deadline=2000)
@given(
    st.sampled_from(SEEDS),
    st.lists(
        st.tuples(st.integers(0, 20_000), st.integers(0, 8), st.binary(max_size=8)), max_size=12
    ),
)
def test_no_damage_to_a_file_raises_or_takes_long(
    data: bytes, damages: list[tuple[int, int, bytes]]
) -> None:
    for anywhere, gone, added in damages:
        place = anywhere % (len(data) or 1)
        data = data[:place] + added + data[place + gone :]
    reading = read(data)
    assert reading.certificates or reading.faults or reading.strangers or reading.holds_private_key


@settings(max_examples=300, deadline=2000)
@given(st.integers(0, len(ONE) - 1), st.binary(min_size=1, max_size=4))
def test_no_damage_to_a_certificate_raises(place: int, added: bytes) -> None:
    damaged = ONE[:place] + added + ONE[place + len(added) :]
    reading = read(pem(damaged) + pem(TWO))
    assert reading.certificates[-1].common_name == "two"
    assert len(reading.certificates) + len(reading.faults) >= 1


HOSTILE = {
    "nested without lengths": b"\x30\x80" * 4_000_000,
    "tiny parts without lengths": b"\x30\x80" + b"\x05\x00" * 4_000_000 + b"\0\0",
    "tiny parts": tlv(0x30, b"\x05\x00" * 4_000_000),
    "a tag without end": b"\x30\x84\x00\x7f\xff\xff\x1f" + b"\xff" * 8_000_000,
    "markers": b"-----BEGIN CERTIFICATE-----\n" * 290_000,
    "dashes": b"-" * 8_000_000,
    "an endless label": b"-----BEGIN " + b"A" * 8_000_000,
    "base64 without end": b"MII" + b"A" * 8_000_000,
    "padding": ONE + b"\0" * 8_000_000 + b"x",
    "an endless serial": make_der(serial=b"\x7f" * 200_000),
    "an endless object identifier": make_der(key=sequence(sequence(tlv(6, b"\xff" * 200_000)))),
    "an endless key": make_der(
        key=sequence(
            sequence(oid("1.2.840.113549.1.1.1")),
            tlv(3, b"\0", sequence(tlv(2, b"\x7f" * 250_000))),
        )
    ),
    "many names": make_der(subject=sequence(*[tlv(0x31)] * 100_000)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_read_in_seconds(kind: str) -> None:
    begun = time.process_time()
    reading = read(HOSTILE[kind])
    assert time.process_time() - begun < 10
    assert len(reading.certificates) <= 1
