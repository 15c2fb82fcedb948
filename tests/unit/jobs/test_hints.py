"""The message that says "look at job N": our bytes read by dramatiq, all others refused."""

import json
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from dramatiq import Message
from hypothesis import given
from hypothesis import strategies as st

from workers.contract import Queue
from workers.jobs.hints import (
    MAX_BYTES,
    MOST_TOGETHER,
    Hint,
    InvalidHintError,
    decode_hints,
    encode_hints,
    pack,
)

QUEUE = Queue.ENCRYPTION

job_ids = st.integers(1, 2**63 - 1)
queues = st.sampled_from(Queue)
of_one_queue = queues.flatmap(
    lambda queue: st.lists(
        st.builds(Hint, job_ids, st.just(queue)), min_size=1, max_size=MOST_TOGETHER
    )
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def encode(job_id: int = 7, queue: Queue = QUEUE) -> bytes:
    """Return the message with one hint."""
    return encode_hints([Hint(job_id, queue)])


def envelope() -> dict[str, Any]:
    """Return a well-formed message, taken apart."""
    taken_apart: dict[str, Any] = json.loads(encode())
    return taken_apart


FIELDS = sorted(envelope())


def assert_hints_or_refusal(body: bytes) -> None:
    """Whatever is accepted must be hints for this very queue; all else is one kind of error."""
    with suppress(InvalidHintError):
        hints = decode_hints(body, QUEUE.value)
        assert 1 <= len(hints) <= MOST_TOGETHER
        assert all(hint.queue is QUEUE for hint in hints)
        assert all(1 <= hint.job_id < 2**63 for hint in hints)


@given(of_one_queue)
def test_what_is_encoded_is_decoded(hints: list[Hint]) -> None:
    body = encode_hints(hints)
    assert len(body) < MAX_BYTES
    assert decode_hints(body, hints[0].queue.value) == hints


@given(of_one_queue)
def test_dramatiq_reads_our_bytes(hints: list[Hint]) -> None:
    first, *others = hints
    message: Message[Any] = Message.decode(encode_hints(hints))
    assert (message.queue_name, message.actor_name) == (first.queue.value, first.queue.value)
    assert message.kwargs.pop("job_id") == first.job_id
    assert message.kwargs.pop("also", []) == [hint.job_id for hint in others]
    assert (message.args, message.kwargs, message.options) == ((), {}, {})


def test_two_messages_with_the_same_hint_are_two_messages() -> None:
    assert encode() != encode()


@given(st.lists(st.builds(Hint, job_ids, queues), max_size=600))
def test_packing_keeps_every_hint_and_no_message_has_two_queues(hints: list[Hint]) -> None:
    packed = pack(hints)
    assert Counter(hint for together in packed for hint in together) == Counter(hints)
    for together in packed:
        assert 1 <= len(together) <= MOST_TOGETHER
        assert len({hint.queue for hint in together}) == 1
    for queue in Queue:
        in_order = [hint for together in packed for hint in together if hint.queue is queue]
        assert in_order == [hint for hint in hints if hint.queue is queue]


def test_a_few_hints_go_one_by_one_and_many_together() -> None:
    few, many = ([Hint(n, QUEUE) for n in range(1, count + 1)] for count in (16, 800))
    assert [len(together) for together in pack(few)] == [1] * 16
    assert [len(together) for together in pack(many)] == [MOST_TOGETHER] * 100


@pytest.mark.parametrize("other", [queue for queue in Queue if queue is not QUEUE])
def test_a_hint_for_another_queue_is_refused(other: Queue) -> None:
    with pytest.raises(InvalidHintError, match=r"^queue_name: "):
        decode_hints(encode(queue=other), QUEUE.value)


@pytest.mark.parametrize("job_id", [0, -1, 2**63, 10**4000, 1.0, "7", True, None, [7]])
def test_a_number_that_no_job_can_have_is_refused(job_id: object) -> None:
    for arguments in ({"job_id": job_id}, {"job_id": 7, "also": [8, job_id]}):
        body = json.dumps(envelope() | {"kwargs": arguments}).encode()
        with pytest.raises(InvalidHintError):
            decode_hints(body, QUEUE.value)


def test_more_hints_than_go_together_are_refused() -> None:
    with pytest.raises(InvalidHintError, match=r"^kwargs\.also: "):
        decode_hints(encode_hints([Hint(7, QUEUE)] * (MOST_TOGETHER + 1)), QUEUE.value)


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named(field: str) -> None:
    body = json.dumps({key: value for key, value in envelope().items() if key != field}).encode()
    with pytest.raises(InvalidHintError, match=f"^{field}: "):
        decode_hints(body, QUEUE.value)


def test_a_body_that_is_too_long_is_not_even_read() -> None:
    body = encode()
    padded = body + b" " * (MAX_BYTES - len(body))
    assert decode_hints(padded, QUEUE.value) == [Hint(7, QUEUE)]
    with pytest.raises(InvalidHintError, match=f"^{MAX_BYTES + 1} bytes"):
        decode_hints(padded + b" ", QUEUE.value)


@pytest.mark.parametrize(
    "change",
    [
        {"message_id": ["hunter2"]},
        {"kwargs": {"job_id": "hunter2"}},
        {"kwargs": {"job_id": 7, "also": ["hunter2"]}},
        {"kwargs": {"job_id": 7, "hunter2": 1}},
        {"options": {"hunter2": "hunter2"}},
        {"actor_name": "hunter2"},
        {"queue_name": "hunter2"},
        {"args": ["hunter2"]},
        {"hunter2": 1},
    ],
)
def test_the_reason_does_not_repeat_what_the_message_says(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidHintError) as refused:
        decode_hints(json.dumps(envelope() | change).encode(), QUEUE.value)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__context__ is None or refused.value.__suppress_context__


@given(st.binary(max_size=MAX_BYTES + 2))
def test_any_bytes_are_a_hint_or_refused(body: bytes) -> None:
    assert_hints_or_refusal(body)


@given(json_values)
def test_any_json_is_a_hint_or_refused(value: object) -> None:
    assert_hints_or_refusal(json.dumps(value).encode())


@given(st.sampled_from(FIELDS), json_values)
def test_any_value_in_any_field_is_a_hint_or_refused(field: str, value: object) -> None:
    assert_hints_or_refusal(json.dumps(envelope() | {field: value}).encode())


@given(json_values)
def test_any_arguments_are_a_hint_or_refused(value: object) -> None:
    for arguments in ({"job_id": value}, {"job_id": 7, "also": value}):
        assert_hints_or_refusal(json.dumps(envelope() | {"kwargs": arguments}).encode())


@given(data=st.data())
def test_a_hint_that_was_damaged_on_the_way_is_a_hint_or_refused(data: st.DataObject) -> None:
    body = bytearray(encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))
    assert_hints_or_refusal(bytes(body))


@given(st.text(max_size=200).filter(lambda key: key not in FIELDS))
def test_any_text_as_a_further_key_is_refused(key: str) -> None:
    with suppress(InvalidHintError):
        decode_hints(json.dumps(envelope() | {key: 1}).encode(), QUEUE.value)
        pytest.fail("a further key was let through")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 4000,
        b'{"a":' * 600 + b"1" + b"}" * 600,
        b"1" * 4000,
        b'"\\ud800"',
        b"\xef\xbb\xbf{}",
        b"NaN",
        b"{}{}",
        b"",
    ],
)
def test_what_stalls_careless_readers_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidHintError):
        decode_hints(body, QUEUE.value)
