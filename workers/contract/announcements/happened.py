"""The shape that all announcements share."""

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema

Moment = Annotated[
    datetime,
    PlainSerializer(datetime.isoformat, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A time with its offset: ISO 8601, as RFC 3339 profiles it."""


class Happened(BaseModel):
    """What an announcement says: ids, names, dates and numbers; never secrets or addresses.

    A subclass is one kind of announcement, its docstring one sentence that says what happened, and
    its fields the ``data`` of the CloudEvent. Fields may be added; none is renamed or removed.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_serialization_defaults_required=True
    )

    of_kind: ClassVar[str]
    """The stable name on the wire: past tense, ``<noun>.<verb>``."""
    about: ClassVar[str]
    """An example of the subject, such as ``certificate/12``: order holds within each."""
