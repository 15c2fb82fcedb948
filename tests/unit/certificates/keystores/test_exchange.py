"""What goes to the child and comes back: values, whatever the child may have become."""

import json

import pytest

from tests.unit.certificates.keystores.material import key_entry, trusted_entry
from workers.certificates.keystores.entries import KeystoreReading
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.exchange import (
    SIZES,
    NotAnAnswerError,
    decode_answer,
    decode_question,
    encode_reading,
    encode_refusal,
    encode_request,
)
from workers.certificates.keystores.faults import mismatch
from workers.certificates.keystores.limits import Limits

READING = KeystoreReading(
    format="jceks",
    keys=(key_entry("p256"), key_entry("ed25519")),
    trusted=(trusted_entry(),),
    faults=(mismatch("\ud800 odd", 2),),
    passed_over=("aes",),
)


def test_a_reading_comes_back_as_it_was_and_shared_certificates_once() -> None:
    encoded = encode_reading(READING)
    assert decode_answer(encoded) == READING
    assert len(json.loads(encoded)["certificates"]) == 4


def test_a_question_arrives_as_it_was() -> None:
    limits = Limits(cpu_seconds=3)
    request = encode_request(b"file", store_password="ü\ud800", key_password=None, limits=limits)
    question_size, data_size = SIZES.unpack_from(request)
    question = request[SIZES.size : SIZES.size + question_size]
    assert decode_question(question) == ("ü\ud800", None, limits)
    assert request[-data_size:] == b"file"


def test_a_refusal_is_raised() -> None:
    with pytest.raises(KeystoreError, match=r"^Because\.$"):
        decode_answer(encode_refusal("Because."))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff",
        b"[]",
        b"7",
        b"{}",
        b"[" * 100_000,
        json.dumps({**json.loads(encode_reading(READING)), "format": "exe"}).encode(),
        json.dumps({**json.loads(encode_reading(READING)), "certificates": []}).encode(),
        json.dumps({**json.loads(encode_reading(READING)), "certificates": ["*"]}).encode(),
        json.dumps({**json.loads(encode_reading(READING)), "keys": [[1]]}).encode(),
        json.dumps({**json.loads(encode_reading(READING)), "faults": ["x"]}).encode(),
    ],
)
def test_what_is_no_answer_is_refused(answer: bytes) -> None:
    with pytest.raises(NotAnAnswerError):
        decode_answer(answer)
