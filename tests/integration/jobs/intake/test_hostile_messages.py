"""Hundreds of bad messages: each is refused with its reason, and nothing has changed afterwards."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.hostile_requests import GOOD, MARKER, combinations, mutations
from tests.integration.jobs.intake.sender import Sender
from workers.jobs.intake.checking import check_arguments
from workers.jobs.intake.cloud_event import read_request
from workers.jobs.intake.refusal import REFUSALS

STRUCTURED = "application/cloudevents+json"


def is_refused(event: dict[str, Any]) -> bool:
    """Whether the contract alone refuses a request."""
    try:
        check_arguments(
            read_request(json.dumps(event).encode(), content_type=STRUCTURED, headers={})
        )
    except REFUSALS:
        return True
    return False


def bad_arguments(sender: Sender) -> Iterator[dict[str, Any]]:
    """Yield requests whose arguments are wrong."""
    for number, bad in enumerate((*mutations(), *combinations(200, seed=9))):
        event = sender.event(
            id=str(number), type=f"keywright.{bad.request.kind}.v1", data=bad.arguments
        )
        if is_refused(event):
            yield event


def bad_envelopes(sender: Sender) -> Iterator[tuple[bytes | str, dict[str, Any]]]:
    """Yield messages that are no request at all, with properties besides the usual ones."""
    good = sender.event()
    for name in ("specversion", "id", "source", "type", "organization", "data"):
        yield json.dumps({k: v for k, v in good.items() if k != name}), {}
        wrongs: tuple[Any, ...] = (
            None,
            1,
            [],
            {},
            "",
            MARKER * 300,
            "\u0000",
            "\ud800",
            "a\nb",
            True,
        )
        for wrong in wrongs:
            if not (name == "data" and wrong == {}):
                yield json.dumps({**good, name: wrong}), {}
    for also in (
        {"specversion": "0.3"},
        {"type": "keywright.system.ping.v2"},
        {"type": "system.ping"},
        {"runat": "tomorrow"},
        {"runat": "2030-01-01T00:00:00"},
        {"runat": "0001-01-01T00:00:00Z"},
        {"runat": "9999-01-01T00:00:00Z"},
        {"uniquekey": ""},
        {"uniquekey": "x" * 201},
        {"Bad-Name": "x"},
        {"data_base64": "e30="},
        {"datacontenttype": "text/plain"},
        {"organization": "Rival"},
        {"organization": "Acme\u202e"},
        {f"extension{n}": "x" for n in range(60)},
    ):
        yield json.dumps({**good, **also}), {}
    whole = json.dumps(good)
    for body in (
        *("", "null", "[]", '"x"', "1", "{", whole[:-1], whole + whole, "\ufeff" + whole),
        whole.replace('"data": {}', '"data": {"a": NaN}'),
        whole.replace('"data": {}', '"data": {"a": Infinity}'),
        whole.replace('"data": {}', '"data": {"a": 1e999}'),
        whole.replace('"data": {}', f'"data": {{"a": {"9" * 5000}}}'),
        whole.replace('"data": {}', '"data": {}, "data": {}'),
        whole.replace('"data": {}', f'"data": {"[" * 5000}{"]" * 5000}'),
        whole.replace('"data": {}', f'"data": {{"a": {"[" * 40}{"]" * 40}}}'),
        whole.replace('"data": {}', '"data": {"a": "\\u0000"}'),
        whole.replace('"data": {}', f'"data": {{"a": "{MARKER * 200_000}"}}'),
    ):
        yield body, {}
    for raw in (b"\xff\xfe", whole.encode("utf-16"), b"\x00" * 100, b"\x80" + whole.encode()):
        yield raw, {}
    for kind in ("text/plain", "application/xml", "application/cloudevents-batch+json", "x" * 200):
        yield whole, {"content_type": kind}
    yield whole, {"content_type": f"{STRUCTURED}; charset=latin1"}
    yield whole, {"content_type": None}
    headers = {f"ce-{name}": value for name, value in good.items() if name != "data"}
    bad_headers: tuple[dict[str, Any], ...] = (
        {"ce-id": 7},
        {"ce-id": None},
        {"ce-id": b"\xff\xfe"},
        {"ce-id": ["x"]},
        {"cloudEvents:id": "2"},
        {"ce-organization": {"a": "b"}},
        {"ce-": "x"},
        {"ce-Ü": "x"},
    )
    for bad in bad_headers:
        yield "{}", {"content_type": "application/json", "headers": {**headers, **bad}}
    yield whole, {"correlation_id": "a\nb", "reply_to": f"keywright.reply.{sender.user}"}
    yield whole, {"user_id": None}


@pytest.mark.usefixtures("intake")
def test_every_bad_message_is_refused_with_its_reason(sender: Sender) -> None:
    sent = 0
    with sender.channel() as channel:
        for event in bad_arguments(sender):
            sender.send(channel, json.dumps(event))
            sent += 1
        for body, also in bad_envelopes(sender):
            sender.send(channel, body, **also)
            sent += 1
        refusals = sender.refusals(sent)
        # And the one after all of them is taken in.
        sender.send(channel, sender.event(id="the last"))
        sender.await_jobs(1)
    assert sent > 500
    for refusal in refusals:
        assert set(refusal) == {"type", "title", "detail", "instance"}
        assert refusal["type"] in {
            *("urn:keywright:problem:invalid-request", "urn:keywright:problem:too-large"),
            "urn:keywright:problem:not-allowed",
        }
        assert 10 < len(refusal["detail"]) < 500
        assert MARKER not in json.dumps(refusal)
    assert len(sender.jobs()) == 1
    assert sender.owner.execute(
        "SELECT (SELECT count(*) FROM keywright.intake), (SELECT count(*) FROM keywright.reply)"
    ).fetchone() == (1, 0)


@pytest.mark.usefixtures("intake")
def test_a_replayed_message_changes_nothing(sender: Sender) -> None:
    with sender.channel() as channel:
        for kind, arguments in GOOD.items():
            event = sender.event(id=kind, type=f"keywright.{kind}.v1", data=arguments)
            for _ in range(3):
                sender.send(channel, event)
        sender.await_jobs(len(GOOD))
        sender.send(channel, sender.event(id="the last"))
        sender.await_jobs(len(GOOD) + 1)
    assert len(sender.jobs()) == len(GOOD) + 1
