"""What goes between a process that wants a keystore read and the child that reads it.

JSON, since the child has handled a file of strangers: what it answers can only be values. Nothing
here knows a socket.
"""

import json
import struct
from base64 import b64decode, b64encode
from dataclasses import asdict
from typing import Any, get_args

from workers.certificates.keystores.entries import (
    EntryFault,
    Format,
    KeyEntry,
    KeystoreReading,
    TrustedEntry,
)
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.limits import Limits

STARTED = b"+"  # what a child says first
SIZES = struct.Struct(">II")  # of the question and of the file, before both


_FORMATS: dict[str, Format] = {each: each for each in get_args(Format)}


class NotAnAnswerError(Exception):
    """What came back has not the form of an answer."""


def encode_request(
    data: bytes, *, store_password: str, key_password: str | None, limits: Limits
) -> bytes:
    """Return what the child is to read."""
    question = json.dumps(
        {
            "store_password": store_password,
            "key_password": key_password,
            "limits": asdict(limits),
        }
    ).encode()
    return SIZES.pack(len(question), len(data)) + question + data


def decode_question(question: bytes) -> tuple[str, str | None, Limits]:
    """Return the store password, the key password and the limits."""
    asked: dict[str, Any] = json.loads(question)
    return asked["store_password"], asked["key_password"], Limits(**asked["limits"])


def encode_reading(reading: KeystoreReading) -> bytes:
    """Return an answer; certificates that several entries share stand in it once."""
    places: dict[bytes, int] = {}
    answer = {
        "format": reading.format,
        "keys": [
            [
                each.alias,
                b64encode(each.private_key).decode(),
                [places.setdefault(der, len(places)) for der in each.chain],
                each.has_own_password,
            ]
            for each in reading.keys
        ],
        "trusted": [
            [each.alias, places.setdefault(each.certificate, len(places))]
            for each in reading.trusted
        ],
        "faults": [asdict(each) for each in reading.faults],
        "passed_over": reading.passed_over,
        "certificates": [b64encode(der).decode() for der in places],
    }
    return json.dumps(answer).encode()


def encode_refusal(sentence: str) -> bytes:
    """Return an answer that says why there is no reading."""
    return json.dumps({"refusal": sentence}).encode()


def decode_answer(encoded: bytes) -> KeystoreReading:
    """Return what the child has read.

    Raises:
        KeystoreError: the child's refusal.
        NotAnAnswerError: it is something else.
    """
    try:
        answer = json.loads(encoded)
        if "refusal" in answer:
            raise KeystoreError(str(answer["refusal"]))
        certificates = [b64decode(each, validate=True) for each in answer["certificates"]]
        return KeystoreReading(
            format=_FORMATS[answer["format"]],
            keys=tuple(
                KeyEntry(
                    alias=str(alias),
                    private_key=b64decode(private_key, validate=True),
                    chain=tuple(certificates[place] for place in chain),
                    has_own_password=bool(has_own_password),
                )
                for alias, private_key, chain, has_own_password in answer["keys"]
            ),
            trusted=tuple(
                TrustedEntry(alias=str(alias), certificate=certificates[place])
                for alias, place in answer["trusted"]
            ),
            faults=tuple(
                EntryFault(
                    alias=None if each["alias"] is None else str(each["alias"]),
                    code=str(each["code"]),
                    what=str(each["what"]),
                    how_to_fix=str(each["how_to_fix"]),
                )
                for each in answer["faults"]
            ),
            passed_over=tuple(map(str, answer["passed_over"])),
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NotAnAnswerError from error
