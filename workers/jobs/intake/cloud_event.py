"""Reading a request out of an AMQP message: CloudEvents 1.0, structured or binary mode. Pure.

Both modes of the AMQP binding are understood; in binary mode attributes are headers, with the
prefix of that binding (``cloudEvents:`` or ``cloudEvents_``) or ``ce-``, which many libraries send.
Read here rather than by a library: what a hostile sender may do to JSON and headers has to be
refused with a reason each; ``cloudevents`` 2.2 takes duplicate names, NaN and NUL as they are.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workers.errors import TooLargeError
from workers.jobs.intake.refusal import UnreadableRequestError
from workers.jobs.intake.strict_json import check_text, loads

MOST_BYTES = 2 * 1024 * 1024
STRUCTURED = "application/cloudevents+json"

_PREFIXES = ("cloudevents:", "cloudevents_", "ce-", "ce_")
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,20}")
_TYPE = re.compile(r"keywright\.([a-z][a-z_]*\.[a-z][a-z_]*)\.v1")
_MOST_ATTRIBUTES = 50
_LONGEST = {"id": 200, "source": 200, "type": 200, "organization": 80, "uniquekey": 200}
_LONGEST_OTHER = 1024
_REQUIRED = ("specversion", "id", "source", "type", "organization")


@dataclass(frozen=True, kw_only=True)
class RequestEvent:
    """A request as it was sent; ``data`` are the arguments, not yet held against the contract."""

    id: str
    source: str
    kind: str
    organization: str
    unique_key: str | None
    run_at: datetime | None
    data: dict[str, Any]


def read_request(
    body: bytes, *, content_type: str | None, headers: Mapping[str, Any]
) -> RequestEvent:
    """Read a message.

    Raises:
        TooLargeError: it has more than ``MOST_BYTES``.
        UnreadableRequestError: it is no request of a form that is understood.
    """
    if len(body) > MOST_BYTES:
        raise TooLargeError(f"The message has more than {MOST_BYTES} bytes.")
    media_type, _, parameters = (content_type or "").partition(";")
    if parameters.strip().lower() not in ("", "charset=utf-8"):
        raise UnreadableRequestError("content_type: the character set must be utf-8.")
    match media_type.strip().lower():
        case "application/cloudevents+json":
            attributes, data = _structured(body)
        case "application/json" | "":
            attributes, data = _binary(body, headers)
        case _:
            raise UnreadableRequestError(
                f"content_type: {STRUCTURED} for structured mode, or application/json."
            )
    return _request(attributes, data)


def _structured(body: bytes) -> tuple[dict[str, Any], Any]:
    event = _loads(body, "body")
    if not isinstance(event, dict):
        raise UnreadableRequestError("body: a CloudEvent is a JSON object.")
    if "data_base64" in event:
        raise UnreadableRequestError("data_base64: the arguments are JSON, so they stand in data.")
    data = event.pop("data", None)
    return event, data


def _binary(body: bytes, headers: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    attributes: dict[str, Any] = {}
    for header, value in headers.items():
        name = str(header).lower()
        prefix = next((each for each in _PREFIXES if name.startswith(each)), None)
        if prefix is None:
            continue
        name = name.removeprefix(prefix)
        if name in attributes:
            raise UnreadableRequestError("headers: an attribute is there twice.")
        # What is not in UTF-8 becomes half pairs, which are refused where the attribute is read.
        attributes[name] = (
            value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
        )
    return attributes, _loads(body, "body")


def _request(attributes: dict[str, Any], data: Any) -> RequestEvent:
    if len(attributes) > _MOST_ATTRIBUTES:
        raise UnreadableRequestError(
            f"A CloudEvent has at most {_MOST_ATTRIBUTES} attributes here."
        )
    for name, value in attributes.items():
        if not _ATTRIBUTE.fullmatch(name):
            raise UnreadableRequestError(
                "An attribute's name is none: 1 to 20 lower-case letters and digits (CloudEvents)."
            )
        if name in (*_REQUIRED, "uniquekey", "runat"):
            _check_attribute(name, value)
    missing = [name for name in _REQUIRED if name not in attributes]
    if missing:
        raise UnreadableRequestError(f"{missing[0]}: this attribute is missing.")
    if attributes["specversion"] != "1.0":
        raise UnreadableRequestError("specversion: must be 1.0.")
    if str(attributes.get("datacontenttype", "application/json")).lower() != "application/json":
        raise UnreadableRequestError("datacontenttype: must be application/json.")
    kind = _TYPE.fullmatch(attributes["type"])
    if kind is None:
        raise UnreadableRequestError(
            "type: must be keywright.<kind>.v1, such as keywright.certificate.generate.v1."
        )
    if not isinstance(data, dict):
        raise UnreadableRequestError(
            "data: the arguments are a JSON object; {} where there are none."
        )
    return RequestEvent(
        id=attributes["id"],
        source=attributes["source"],
        kind=kind[1],
        organization=attributes["organization"],
        unique_key=attributes.get("uniquekey"),
        run_at=_moment(attributes.get("runat")),
        data=data,
    )


def _check_attribute(name: str, value: Any) -> None:
    longest = _LONGEST.get(name, _LONGEST_OTHER)
    if not isinstance(value, str) or not 1 <= len(value) <= longest or not value.isprintable():
        raise UnreadableRequestError(f"{name}: a text of 1 to {longest} printable characters.")
    try:
        check_text(value)
    except ValueError as error:
        raise UnreadableRequestError(f"{name}: {error}.") from None


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UnreadableRequestError("runat: a time with its offset (RFC 3339).")
    return moment


def _loads(data: bytes, field: str) -> Any:
    try:
        return loads(data)
    except ValueError as error:
        raise UnreadableRequestError(f"{field}: {error}.") from None
