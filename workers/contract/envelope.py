"""What carries requests, answers and announcements: CloudEvents 1.0, described by JSON Schema."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


def event_type(kind: str) -> str:
    """Return the CloudEvents type of a kind of job or announcement, with its version."""
    return f"keywright.{kind}.v1"


ACCEPTED = event_type("job.accepted")
"""The type of the answer to a request that led to a job."""


class Problem(BaseModel):
    """Why something was not done (RFC 9457): ``type`` is for programs, ``detail`` for people."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(pattern="^urn:keywright:problem:")
    title: str
    detail: str
    instance: str


class Accepted(BaseModel):
    """The job that a request led to; ``created`` False: an earlier, like request had."""

    job_id: int
    created: bool


class Ended(BaseModel):
    """How a job ended: with its result, or with the problem that stood against it."""

    job_id: int
    kind: str
    state: Literal["succeeded", "failed", "cancelled"]
    result: dict[str, Any] | None
    problem: Problem | None


def request_envelope(kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a request for a job of ``kind``, its data being ``arguments``."""
    return _envelope(
        event_type(kind),
        arguments,
        {
            "organization": {
                "type": "string",
                "minLength": 1,
                "maxLength": 80,
                "description": "The name of the organization on whose behalf.",
            },
            "uniquekey": {
                "type": "string",
                "minLength": 1,
                "maxLength": 200,
                "description": "An unfinished job with this key is found instead of a second.",
            },
            "runat": {
                "type": "string",
                "format": "date-time",
                "description": "Not before this time.",
            },
        },
        required=["organization"],
    )


def announcement_envelope(kind: str, data: Mapping[str, Any], *, subject: str) -> dict[str, Any]:
    """Return the JSON Schema of what keywright sends; ``subject`` is an example of one."""
    return _envelope(
        kind,
        data,
        {
            "subject": {"type": "string", "examples": [subject]},
            "time": {"type": "string", "format": "date-time"},
            "organization": {"type": "string", "description": "The organization's name."},
            "partitionkey": {"type": "string", "description": "The subject: order holds within."},
            "sequence": {
                "type": "string",
                "pattern": "^[0-9]{20}$",
                "description": "Grows: where to go on after having been away.",
            },
        },
        required=[],
    )


def _envelope(
    kind: str, data: Mapping[str, Any], attributes: Mapping[str, Any], *, required: list[str]
) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {
                "type": "string",
                "minLength": 1,
                "maxLength": 200,
                "description": "With source, tells this from all others: what comes twice has"
                " the same.",
            },
            "source": {"type": "string", "minLength": 1, "maxLength": 200},
            "type": {"const": kind},
            "datacontenttype": {"const": "application/json"},
            **attributes,
            "data": dict(data),
        },
        "required": ["specversion", "id", "source", "type", *required, "data"],
    }
