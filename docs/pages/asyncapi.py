"""The AsyncAPI 3.1 document: what may be sent to keywright over AMQP, and what it sends."""

import inspect
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from workers.contract import JOB_REQUESTS, JobRequest
from workers.contract.announcements import ANNOUNCEMENTS, Announcement
from workers.contract.envelope import (
    ACCEPTED,
    Accepted,
    Ended,
    Problem,
    announcement_envelope,
    event_type,
    request_envelope,
)
from workers.contract.request import COMMON_PROBLEMS

_JSON = "application/cloudevents+json"
_REFERENCE = "#/components/schemas/{model}"
_Mode = Literal["validation", "serialization"]

_ABOUT = """
Jobs that other systems ask for, what becomes of them, and announcements of what happens, all as
CloudEvents 1.0 in RabbitMQ. A message to keywright needs the property user_id, which RabbitMQ
validates. Both content modes are understood: structured (this document) and binary, where the
attributes are headers with the prefix `ce-` or `cloudEvents:` and the body is the data alone.
"""


def asyncapi_page() -> str:
    """Return the document as JSON."""
    return json.dumps(asyncapi(), indent=2, ensure_ascii=False) + "\n"


def asyncapi() -> dict[str, Any]:
    """Return the document."""
    requests = [each for each in JOB_REQUESTS if each.for_requesters]
    names, schemas = _schemas(requests)
    asked = {_name(each.kind): _request_message(each, names) for each in requests}
    ends = _ends(requests, names)
    told = {_name(each.kind): _announcement_message(each, names) for each in ANNOUNCEMENTS}
    answers = {"jobAccepted": _accepted(names), **ends, "requestRefused": _refused(names)}
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "keywright",
            "version": "1.0.0",
            "description": " ".join(_ABOUT.split()),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _JSON,
        "servers": {
            "broker": {
                "host": "rabbitmq.example.org:5671",
                "protocol": "amqps",
                "protocolVersion": "0-9-1",
                "pathname": "/keywright",
            }
        },
        "channels": {
            "intake": _channel(
                "keywright.intake",
                "Where jobs are asked for. Declare nothing: the exchange is there.",
                asked,
                _exchange("keywright.intake", "fanout"),
            ),
            "refused": _channel(
                "keywright.refused",
                "Requests that were refused, each with its reason and without its content.",
                {"requestRefused": answers["requestRefused"]},
                _exchange("keywright.refused", "fanout"),
            ),
            "replies": {
                **_channel(
                    None,
                    "The queue that a request names in reply_to: amq.rabbitmq.reply-to, or"
                    " keywright.reply.<user> and what begins with that and a dot.",
                    answers,
                ),
            },
            "announcements": {
                **_channel(
                    "{organization}.{kind}",
                    "What happened, in order for each subject, at least once: the id tells copies.",
                    told,
                    _exchange("keywright.events", "topic"),
                ),
                "parameters": {
                    "organization": {"description": "The organization's number, or system."},
                    "kind": {"description": "Such as certificate.issued: itself two words."},
                },
            },
        },
        "operations": {
            "takeRequest": {
                "action": "receive",
                "channel": {"$ref": "#/channels/intake"},
                "messages": _in_channel("intake", asked),
                "reply": {
                    "address": {
                        "location": "$message.header#/replyTo",
                        "description": "The AMQP property reply_to.",
                    },
                    "channel": {"$ref": "#/channels/replies"},
                    "messages": _in_channel("replies", answers),
                },
            },
            "refuseRequest": {
                "action": "send",
                "channel": {"$ref": "#/channels/refused"},
                "messages": _in_channel("refused", ["requestRefused"]),
            },
            "announce": {
                "action": "send",
                "channel": {"$ref": "#/channels/announcements"},
                "messages": _in_channel("announcements", told),
            },
        },
        "components": {"messages": {**asked, **answers, **told}, "schemas": schemas},
    }


def _schemas(
    requests: Iterable[type[JobRequest]],
) -> tuple[Mapping[Any, dict[str, Any]], dict[str, Any]]:
    """Return where each model's schema stands, and the schemas by name."""
    models: list[tuple[type[Any], _Mode]] = []
    for each in requests:
        models.append((each, "validation"))
        if each.result is not None:
            models.append((each.result, "serialization"))
    models += [(each.data, "serialization") for each in ANNOUNCEMENTS]
    models += [(each, "serialization") for each in (Accepted, Ended, Problem)]
    found, whole = models_json_schema(list(dict.fromkeys(models)), ref_template=_REFERENCE)
    schemas: dict[str, Any] = whole["$defs"]
    for told in ANNOUNCEMENTS:
        # We say no more than this today; a reader is to put up with more.
        name = found[(told.data, "serialization")]["$ref"].rpartition("/")[2]
        schemas[name].pop("additionalProperties")
    return found, schemas


def _request_message(request: type[JobRequest], names: Mapping[Any, Any]) -> dict[str, Any]:
    first, _, rest = inspect.cleandoc(request.__doc__ or "").partition("\n")
    problems = ", ".join(sorted({*COMMON_PROBLEMS, *request.problems}))
    return {
        "name": event_type(request.kind),
        "title": request.kind,
        "summary": first,
        "description": f"{rest.strip()}\n\nMay fail with: {problems}.".strip(),
        "contentType": _JSON,
        "payload": request_envelope(request.kind, names[(request, "validation")]),
    }


def _announcement_message(told: Announcement, names: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "name": event_type(told.kind),
        "title": told.kind,
        "summary": told.meaning,
        "contentType": _JSON,
        "payload": announcement_envelope(
            event_type(told.kind), names[(told.data, "serialization")], subject=told.subject
        ),
    }


def _accepted(names: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "name": ACCEPTED,
        "summary": "The request led to a job, or had done so before.",
        "contentType": _JSON,
        "payload": announcement_envelope(
            ACCEPTED, names[(Accepted, "serialization")], subject="job/42"
        ),
    }


def _ends(requests: Iterable[type[JobRequest]], names: Mapping[Any, Any]) -> dict[str, Any]:
    results = [
        names[(result, "serialization")]
        for result in dict.fromkeys(each.result for each in requests if each.result is not None)
    ]
    ended = names[(Ended, "serialization")]
    data = {
        "succeeded": {
            "allOf": [ended, {"properties": {"result": {"anyOf": [*results, {"type": "null"}]}}}]
        },
        "failed": ended,
        "cancelled": ended,
    }
    return {
        f"job{state.capitalize()}": {
            "name": event_type(f"job.{state}"),
            "summary": f"The job that was asked for {state}."
            if state != "cancelled"
            else "The job that was asked for was cancelled.",
            "contentType": _JSON,
            "payload": announcement_envelope(event_type(f"job.{state}"), schema, subject="job/42"),
        }
        for state, schema in data.items()
    }


def _refused(names: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "name": "keywright.request.refused.v1",
        "summary": "The request was refused; nothing was changed.",
        "contentType": "application/problem+json",
        "payload": names[(Problem, "serialization")],
    }


def _channel(
    address: str | None,
    description: str,
    messages: Iterable[str],
    bindings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": address,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }
    return channel if bindings is None else {**channel, "bindings": bindings}


def _exchange(name: str, kind: str) -> dict[str, Any]:
    exchange = {"name": name, "type": kind, "durable": True, "autoDelete": False}
    return {"amqp": {"is": "routingKey", "exchange": exchange, "bindingVersion": "0.3.0"}}


def _in_channel(channel: str, messages: Iterable[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages]


def _name(kind: str) -> str:
    """Return the name of a message in the document: certificateGenerate."""
    first, *others = kind.replace(".", "_").split("_")
    return first + "".join(each.capitalize() for each in others)
