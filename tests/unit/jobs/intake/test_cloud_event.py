import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.errors import TooLargeError
from workers.jobs.intake.cloud_event import (
    MOST_BYTES,
    STRUCTURED,
    RequestEvent,
    names_of,
    read_request,
)
from workers.jobs.intake.refusal import UnreadableRequestError

GOOD: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "urn:crm",
    "type": "keywright.system.ping.v1",
    "organization": "Acme",
    "data": {"label": "Web"},
}


def structured(**also: Any) -> RequestEvent:
    return read_request(json.dumps({**GOOD, **also}).encode(), content_type=STRUCTURED, headers={})


def binary(headers: dict[str, Any], content_type: str | None = "application/json") -> RequestEvent:
    given = {f"ce-{name}": value for name, value in GOOD.items() if name != "data"}
    return read_request(b"{}", content_type=content_type, headers={**given, **headers})


def test_a_request_is_read_with_all_that_it_says() -> None:
    event = structured(
        uniquekey="web", runat="2030-01-01T01:00:00+01:00", traceparent="00-ab", subject="x"
    )
    assert event == RequestEvent(
        id="1",
        source="urn:crm",
        kind="system.ping",
        organization="Acme",
        unique_key="web",
        run_at=datetime(2030, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        data={"label": "Web"},
    )


@pytest.mark.parametrize("prefix", ["ce-", "cloudEvents:", "cloudEvents_"])
def test_binary_mode_says_the_same_with_every_prefix(prefix: str) -> None:
    headers = {f"{prefix}{name}": value for name, value in GOOD.items() if name != "data"}
    body = json.dumps(GOOD["data"]).encode()
    event = read_request(body, content_type="application/json", headers=headers)
    assert event == structured()


def test_null_is_as_good_as_not_there() -> None:
    assert structured(uniquekey=None, runat=None, subject=None) == structured()
    with pytest.raises(UnreadableRequestError, match=r"^id: this attribute is missing\."):
        structured(id=None)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/json;charset="utf-8"',
        None,
    ],
    ids=range(4),
)
def test_json_in_utf_8_is_read_however_its_type_is_written(content_type: str | None) -> None:
    assert binary({}, content_type).kind == "system.ping"


def test_other_headers_and_extensions_are_left_alone() -> None:
    assert binary({"x-trace": ["whatever"], "ce-color": "blue", "ce-count": 7}).data == {}


@pytest.mark.parametrize(
    "moment",
    [
        *("2030-01-01", "2030-01-01T00:00:00", "2030-01-01 00:00:00Z", "20300101T000000Z"),
        *("2030-W01-1T00:00:00Z", "2030-13-01T00:00:00Z", "2030-01-01T24:00:00Z", "tomorrow"),
        *("2030-01-01T00:00:00+24:00", "\uff12030-01-01T00:00:00Z", "2030-01-01T00:00Z"),
        "2030-01-01T00:00:00+00:00:30",
    ],
    ids=range(12),
)
def test_only_a_time_of_rfc_3339_is_one(moment: str) -> None:
    with pytest.raises(UnreadableRequestError, match=r"^runat: "):
        structured(runat=moment)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"ce-id": 7}, "id: a text of 1 to 200 printable characters."),
        ({"ce-id": b"\xff"}, "id: a text of 1 to 200 printable characters."),
        ({"cloudEvents:id": "2"}, "headers: an attribute is there twice."),
        ({"ce-": "x"}, "An attribute's name is none"),
        ({"ce-Ü": "x"}, "An attribute's name is none"),
        ({"ce-color": ["x"]}, "An attribute's value is none"),
        ({"ce-color": "x" * 1025}, "An attribute's value is none"),
        ({f"ce-e{n}": "x" for n in range(60)}, "A CloudEvent has at most 50 attributes here."),
        ({"ce-datacontenttype": "text/plain"}, "datacontenttype: must be application/json"),
        ({"ce-specversion": "0.3"}, "specversion: must be 1.0."),
        ({"ce-type": "keywright.system.ping.v2"}, "type: must be keywright.<kind>.v1"),
    ],
    ids=range(11),
)
def test_bad_attributes_are_refused_with_their_name(headers: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnreadableRequestError) as refused:
        binary(headers)
    assert str(refused.value).startswith(reason)


def test_a_body_that_is_too_large_is_not_looked_at() -> None:
    with pytest.raises(TooLargeError):
        read_request(b"[" * (MOST_BYTES + 1), content_type=STRUCTURED, headers={})


_PIECES = st.none() | st.booleans() | st.integers() | st.text(max_size=30) | st.binary(max_size=30)


@given(
    st.dictionaries(
        st.sampled_from([f"ce-{name}" for name in (*GOOD, "runat", "uniquekey", "x", "")])
        | st.text(max_size=10),
        _PIECES | st.lists(_PIECES, max_size=2),
    ),
    st.binary(max_size=40) | st.just(b"{}"),
    st.none() | st.text(max_size=20) | st.sampled_from([STRUCTURED, "application/json"]),
)
def test_whatever_comes_is_read_or_refused(
    headers: dict[str, Any], body: bytes, content_type: str | None
) -> None:
    names_of(body, content_type=content_type, headers=headers)
    try:
        read_request(body, content_type=content_type, headers=headers)
    except UnreadableRequestError as error:
        assert str(error).isprintable()  # noqa: PT017  # where it is read, there is none


@pytest.mark.parametrize("content_type", [STRUCTURED, "application/json"])
def test_a_refused_message_is_known_by_its_source_and_id(content_type: str) -> None:
    event = {**GOOD, "type": "wrong"}
    headers = {f"ce-{name}": value for name, value in event.items()}
    body = json.dumps(event).encode()
    assert names_of(body, content_type=content_type, headers=headers) == ("urn:crm", "1")


@pytest.mark.parametrize("name", ["a\nb", "x" * 201, 7, None, "\ud800"], ids=range(5))
def test_a_name_that_is_unfit_is_not_repeated(name: object) -> None:
    headers = {"ce-source": name, "ce-id": "1"}
    assert names_of(b"", content_type=None, headers=headers) == (None, "1")
