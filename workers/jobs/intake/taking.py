"""From a message to a job or a refusal: the same for every message, however it was sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.contract.envelope import Accepted
from workers.database.pool import Connection
from workers.errors import NotAllowedError
from workers.jobs.intake.checking import NOT_GRANTED, check_arguments, check_reply_to
from workers.jobs.intake.cloud_event import read_request
from workers.jobs.intake.refusal import UnreadableRequestError
from workers.jobs.intake.store import ReplyAddress, find_requester, take_in

_LONGEST_MARK = 255


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A message as it came; the broker has seen to it that ``user_id`` is true, if it is there."""

    body: bytes
    content_type: str | None
    headers: Mapping[str, Any]
    headers_are_readable: bool = True
    user_id: str | None
    reply_to: str | None
    correlation_id: str | None


def address_of(message: Incoming) -> ReplyAddress | None:
    """Return where answers to a message go; None: nowhere.

    Raises:
        UnreadableRequestError: it names no place where its sender reads.
    """
    if message.user_id is None or message.reply_to is None:
        return None
    reply_to = check_reply_to(message.reply_to, message.user_id)
    mark = message.correlation_id
    if mark is not None and not (len(mark) <= _LONGEST_MARK and mark.isprintable()):
        raise UnreadableRequestError(
            f"correlation_id: at most {_LONGEST_MARK} printable characters."
        )
    assert reply_to is not None
    return ReplyAddress(reply_to=reply_to, correlation_id=mark)


def take(connection: Connection, message: Incoming) -> Accepted:
    """Take a request in, and return the job that it leads to, or led to when it came before.

    Raises:
        One of REFUSALS: it is refused; the text is for its sender. Nothing was changed.
    """
    if message.user_id is None:
        raise UnreadableRequestError(
            "user_id: set this property to the RabbitMQ user that you log in as; the broker"
            " checks it."
        )
    reply = address_of(message)
    if not message.headers_are_readable:
        raise UnreadableRequestError("headers: there is a value in them that cannot be read.")
    event = read_request(message.body, content_type=message.content_type, headers=message.headers)
    requester_id = find_requester(connection, message.user_id)
    if requester_id is None:
        raise NotAllowedError(NOT_GRANTED)
    check_arguments(event)
    return take_in(connection, requester_id, event, reply)
