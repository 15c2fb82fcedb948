"""The message that says "look at job N", and the refusal of everything else.

A hint is a dramatiq envelope: one actor per queue, named like it, whose argument is the job's
number. Where many jobs wait, one message carries the hints of a few. Anybody may get a message
into a queue by mistake or malice, so the bytes are checked to the last key before dramatiq sees
them: one odd field would stall its consumer or kill its threads.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated
from uuid import uuid4

from dramatiq import Message
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workers.contract import Queue

MAX_BYTES = 4096
MOST_TOGETHER = 8
_ONE_BY_ONE = 16


@dataclass(frozen=True, slots=True)
class Hint:
    """Where to look; ``owner`` is the organization, or 0, and does not go into the message."""

    job_id: int
    queue: Queue
    owner: int = field(default=0, compare=False)

    def to_message(self) -> Message[None]:
        """Return the dramatiq message that carries this hint."""
        return Message(
            queue_name=self.queue.value,
            actor_name=self.queue.value,
            args=(),
            kwargs={"job_id": self.job_id},
            options={},
            message_id=str(uuid4()),
            message_timestamp=int(time.time() * 1000),
        )


def pack(hints: Sequence[Hint]) -> list[list[Hint]]:
    """Share hints out to messages, each of one queue.

    A few make a message each. The more there are of a queue the more go together, at most
    ``MOST_TOGETHER``: the jobs behind them wait anyway, and the broker has less to do.
    """
    packed: list[list[Hint]] = []
    for queue in Queue:
        of_queue = [hint for hint in hints if hint.queue is queue]
        together = min(MOST_TOGETHER, max(1, len(of_queue) // _ONE_BY_ONE))
        packed += [of_queue[i : i + together] for i in range(0, len(of_queue), together)]
    return packed


def encode_hints(hints: Sequence[Hint]) -> bytes:
    """Return the bytes of one message with these hints, all of one queue."""
    first, *others = hints
    message = first.to_message()
    if others:
        message.kwargs["also"] = [hint.job_id for hint in others]
    return message.encode()


class InvalidHintError(ValueError):
    """A message on a work queue is no hint; the text is the reason, without what it says."""


_JobId = Annotated[int, Field(ge=1, lt=2**63)]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    job_id: _JobId
    also: list[_JobId] = Field(default=[], max_length=MOST_TOGETHER - 1)


class _Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Envelope(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    queue_name: str
    actor_name: str
    args: list[object] = Field(max_length=0)
    kwargs: _Arguments
    options: _Nothing
    message_id: str = Field(max_length=64)
    message_timestamp: int


def decode_hints(body: bytes, queue: str) -> list[Hint]:
    """Read a message taken from ``queue``.

    Raises:
        InvalidHintError: it is anything but hints for this very queue.
    """
    if len(body) > MAX_BYTES:
        raise InvalidHintError(f"{len(body)} bytes; a hint has at most {MAX_BYTES}")
    try:
        envelope = _Envelope.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where, what = first["loc"], first["msg"]
        if first["type"] == "extra_forbidden":
            where, what = where[:-1], "a key that hints do not have"
        field = ".".join(str(part) for part in where)[:100]
        raise InvalidHintError(f"{field or 'body'}: {what}"[:300]) from None
    if envelope.queue_name != queue:
        raise InvalidHintError("queue_name: names another queue than the one it came through")
    if envelope.actor_name != queue:
        raise InvalidHintError("actor_name: no such actor")
    return [
        Hint(job_id, Queue(queue)) for job_id in (envelope.kwargs.job_id, *envelope.kwargs.also)
    ]
