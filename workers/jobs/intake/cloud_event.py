"""Reading a request out of an AMQP message: CloudEvents 1.0, structured or binary mode. Pure.

Both modes of the AMQP binding are understood; in binary mode attributes are headers, with the
prefix of that binding (``cloudEvents:`` or ``cloudEvents_``) or ``ce-``, which many libraries send.
Read here rather than by a library: what a hostile sender may do to JSON and headers has to be
refused with a reason each; ``cloudevents`` 2.2 takes duplicate names, NaN and NUL as they are.
Extensions that are read are ``organization``, ``uniquekey`` and ``runat``; any other may be there.
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
_JSON = "application/json"

_PREFIXES = ("cloudevents:", "cloudevents_", "ce-", "ce_")
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,20}")
_TYPE = re.compile(r"keywright\.([a-z][a-z_]*\.[a-z][a-z_]*)\.v1")
# RFC 3339 §5.6; of fractions of a second, what Python and Postgres keep and a little more.
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_MOST_ATTRIBUTES = 50
_LONGEST = {"id": 200, "source": 200, "type": 200, "organization": 80, "uniquekey": 200}
_LONGEST_OTHER = 1024
_REQUIRED = ("specversion", "id", "source", "type", "organization")
_READ = (*_REQUIRED, "uniquekey", "runat", "datacontenttype")


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
    media_type = _media_type(content_type or _JSON)
    if media_type == STRUCTURED:
        attributes, data = _structured(body)
    elif media_type == _JSON:
        attributes, data = _attributes(headers), _loads(body, "body")
    else:
        raise UnreadableRequestError(
            f"content_type: {STRUCTURED} for structured mode, or {_JSON}; in utf-8."
        )
    return _request(attributes, data)


def names_of(
    body: bytes, *, content_type: str | None, headers: Mapping[str, Any]
) -> tuple[str | None, str | None]:
    """Return the source and id that a refused message gives itself, each if it may be repeated.

    By these its sender knows which message it was.
    """
    try:
        if _media_type(content_type or _JSON) != STRUCTURED:
            attributes = _attributes(headers)
        elif len(body) <= MOST_BYTES:
            attributes, _ = _structured(body)
        else:
            return None, None
    except UnreadableRequestError:
        return None, None
    return _fit(attributes.get("source")), _fit(attributes.get("id"))


def _fit(value: Any) -> str | None:
    fits = isinstance(value, str) and len(value) <= _LONGEST["id"] and value.isprintable()
    return value if fits else None


def _media_type(content_type: str) -> str | None:
    """Return a media type without its parameters; None: it names another character set."""
    media_type, _, parameters = content_type.lower().partition(";")
    if parameters.strip().replace('"', "") not in ("", "charset=utf-8"):
        return None
    return media_type.strip()


def _structured(body: bytes) -> tuple[dict[str, Any], Any]:
    event = _loads(body, "body")
    if not isinstance(event, dict):
        raise UnreadableRequestError("body: a CloudEvent is a JSON object.")
    if "data_base64" in event:
        raise UnreadableRequestError("data_base64: the arguments are JSON, so they stand in data.")
    data = event.pop("data", None)
    return event, data


def _attributes(headers: Mapping[str, Any]) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for header, value in headers.items():
        name = str(header).lower()
        prefix = next((each for each in _PREFIXES if name.startswith(each)), None)
        if prefix is None:
            continue
        name = name.removeprefix(prefix)
        if name in attributes:
            raise UnreadableRequestError("headers: an attribute is there twice.")
        if isinstance(value, bytes):
            # What is not in UTF-8 becomes half pairs, and is refused where the attribute is read.
            value = value.decode("utf-8", "surrogateescape")  # noqa: PLW2901
        attributes[name] = value
    return attributes


def _request(given: dict[str, Any], data: Any) -> RequestEvent:
    # Null is as good as not there (CloudEvents JSON format §2.2).
    attributes = {name: value for name, value in given.items() if value is not None}
    if len(attributes) > _MOST_ATTRIBUTES:
        raise UnreadableRequestError(
            f"A CloudEvent has at most {_MOST_ATTRIBUTES} attributes here."
        )
    for name, value in attributes.items():
        _check_attribute(name, value)
    missing = [name for name in _REQUIRED if name not in attributes]
    if missing:
        raise UnreadableRequestError(f"{missing[0]}: this attribute is missing.")
    if attributes["specversion"] != "1.0":
        raise UnreadableRequestError("specversion: must be 1.0.")
    if _media_type(attributes.get("datacontenttype", _JSON)) != _JSON:
        raise UnreadableRequestError(f"datacontenttype: must be {_JSON}, in utf-8.")
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
    if not _ATTRIBUTE.fullmatch(name):
        raise UnreadableRequestError(
            "An attribute's name is none: 1 to 20 lower-case letters and digits (CloudEvents)."
        )
    if name not in _READ:
        # It means nothing here, and is left alone if it is what an extension may be.
        if not isinstance(value, str | int) or len(str(value)) > _LONGEST_OTHER:
            raise UnreadableRequestError(
                "An attribute's value is none: a text, an integer or a boolean (CloudEvents), and"
                f" at most {_LONGEST_OTHER} characters."
            )
        return
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
    moment = None
    if _MOMENT.fullmatch(text):
        try:
            moment = datetime.fromisoformat(text.upper())
        except ValueError:
            moment = None
    if moment is None:
        raise UnreadableRequestError("runat: a time with its offset (RFC 3339).")
    return moment


def _loads(data: bytes, field: str) -> Any:
    try:
        return loads(data)
    except ValueError as error:
        raise UnreadableRequestError(f"{field}: {error}.") from None
