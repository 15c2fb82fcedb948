"""The message that says "look at job N": our bytes read by dramatiq, all others refused."""

import json
from contextlib import suppress
from typing import Any

import pytest
from dramatiq import Message
from hypothesis import given
from hypothesis import strategies as st

from workers.contract import Queue
from workers.jobs.hints import MAX_BYTES, Hint, InvalidHintError, decode_hint

QUEUE = Queue.ENCRYPTION

hints = st.builds(Hint, st.integers(1, 2**63 - 1), st.sampled_from(Queue))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def envelope() -> dict[str, Any]:
    """Return a well-formed hint, taken apart."""
    taken_apart: dict[str, Any] = json.loads(Hint(7, QUEUE).encode())
    return taken_apart


FIELDS = sorted(envelope())


def assert_hint_or_refusal(body: bytes) -> None:
    """Whatever is accepted must be a hint for this very queue; all else is one kind of error."""
    with suppress(InvalidHintError):
        hint = decode_hint(body, QUEUE.value)
        assert hint.queue is QUEUE
        assert 1 <= hint.job_id < 2**63


@given(hints)
def test_what_is_encoded_is_decoded(hint: Hint) -> None:
    body = hint.encode()
    assert len(body) < MAX_BYTES
    assert decode_hint(body, hint.queue.value) == hint


@given(hints)
def test_dramatiq_reads_our_bytes(hint: Hint) -> None:
    message: Message[Any] = Message.decode(hint.encode())
    assert (message.queue_name, message.actor_name) == (hint.queue.value, hint.queue.value)
    assert (message.args, message.kwargs) == ((), {"job_id": hint.job_id})
    assert message.options == {}


def test_two_hints_for_one_job_are_two_messages() -> None:
    assert Hint(7, QUEUE).to_message().message_id != Hint(7, QUEUE).to_message().message_id


@pytest.mark.parametrize("other", [queue for queue in Queue if queue is not QUEUE])
def test_a_hint_for_another_queue_is_refused(other: Queue) -> None:
    with pytest.raises(InvalidHintError, match=r"^queue_name: "):
        decode_hint(Hint(7, other).encode(), QUEUE.value)


@pytest.mark.parametrize("job_id", [0, -1, 2**63, 10**4000, 1.0, "7", True, None, [7]])
def test_a_number_that_no_job_can_have_is_refused(job_id: object) -> None:
    body = json.dumps(envelope() | {"kwargs": {"job_id": job_id}}).encode()
    with pytest.raises(InvalidHintError):
        decode_hint(body, QUEUE.value)


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named(field: str) -> None:
    body = json.dumps({key: value for key, value in envelope().items() if key != field}).encode()
    with pytest.raises(InvalidHintError, match=f"^{field}: "):
        decode_hint(body, QUEUE.value)


def test_a_body_that_is_too_long_is_not_even_read() -> None:
    body = Hint(7, QUEUE).encode()
    padded = body + b" " * (MAX_BYTES - len(body))
    assert decode_hint(padded, QUEUE.value) == Hint(7, QUEUE)
    with pytest.raises(InvalidHintError, match=f"^{MAX_BYTES + 1} bytes"):
        decode_hint(padded + b" ", QUEUE.value)


@pytest.mark.parametrize(
    "change",
    [
        {"message_id": ["hunter2"]},
        {"kwargs": {"job_id": "hunter2"}},
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
        decode_hint(json.dumps(envelope() | change).encode(), QUEUE.value)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__context__ is None or refused.value.__suppress_context__


@given(st.binary(max_size=MAX_BYTES + 2))
def test_any_bytes_are_a_hint_or_refused(body: bytes) -> None:
    assert_hint_or_refusal(body)


@given(json_values)
def test_any_json_is_a_hint_or_refused(value: object) -> None:
    assert_hint_or_refusal(json.dumps(value).encode())


@given(st.sampled_from(FIELDS), json_values)
def test_any_value_in_any_field_is_a_hint_or_refused(field: str, value: object) -> None:
    assert_hint_or_refusal(json.dumps(envelope() | {field: value}).encode())


@given(json_values)
def test_any_arguments_are_a_hint_or_refused(value: object) -> None:
    assert_hint_or_refusal(json.dumps(envelope() | {"kwargs": {"job_id": value}}).encode())


@given(data=st.data())
def test_a_hint_that_was_damaged_on_the_way_is_a_hint_or_refused(data: st.DataObject) -> None:
    body = bytearray(Hint(7, QUEUE).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))
    assert_hint_or_refusal(bytes(body))


@given(st.text(max_size=200).filter(lambda key: key not in FIELDS))
def test_any_text_as_a_further_key_is_refused(key: str) -> None:
    with suppress(InvalidHintError):
        decode_hint(json.dumps(envelope() | {key: 1}).encode(), QUEUE.value)
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
        decode_hint(body, QUEUE.value)
