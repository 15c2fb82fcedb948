"""Whether a request is what it may be, before the database is asked. Pure."""

import json
import re

from pydantic import ValidationError

from workers.contract import JOB_REQUESTS
from workers.errors import NotAllowedError, TooLargeError
from workers.jobs.intake.cloud_event import RequestEvent
from workers.jobs.intake.refusal import UnreadableRequestError
from workers.jobs.intake.topology import DIRECT_REPLIES, OWN_REPLIES

NOT_GRANTED = "This requester has no grant for this kind of job in this organization."

_KINDS = {each.kind: each for each in JOB_REQUESTS if each.for_requesters}
_DIRECT = re.compile(re.escape(DIRECT_REPLIES) + r"\.[A-Za-z0-9+/=._-]{1,200}")
_OWN_REST = re.compile(r"(\.[A-Za-z0-9._-]{1,100})?")


def check_arguments(event: RequestEvent) -> None:
    """Hold the arguments against the contract of their kind.

    Raises:
        NotAllowedError: it is no kind that others may ask for.
        TooLargeError, UnreadableRequestError: the arguments will not do.
    """
    request = _KINDS.get(event.kind)
    if request is None:
        raise NotAllowedError(NOT_GRANTED)
    if "requested_by" in event.data:
        raise UnreadableRequestError("requested_by: leave it out, it is known who asks.")
    text = json.dumps(event.data, ensure_ascii=False)  # as the database counts it
    if len(text.encode()) > request.most_bytes:
        raise TooLargeError(f"data: at most {request.most_bytes} bytes for {event.kind}.")
    try:
        request.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        extra = first["type"] == "extra_forbidden"
        where = first["loc"][:-1] if extra else first["loc"]
        field = ".".join(map(str, where))[:100] or "data"
        what = "a name that is not known" if extra else first["msg"].removeprefix("Value error, ")
        raise UnreadableRequestError(f"{field}: {what[:300]}.") from None


def check_reply_to(reply_to: str | None, broker_user: str) -> str | None:
    """Return where the answers go.

    Only where the sender itself reads: another queue, such as one of ours, is no address.

    Raises:
        UnreadableRequestError: it is no such address.
    """
    if reply_to is None or _DIRECT.fullmatch(reply_to):
        return reply_to
    own = f"{OWN_REPLIES}.{broker_user}"
    # With a dot in it, the queues of one user would look like those of another.
    if (
        "." not in broker_user
        and reply_to.startswith(own)
        and _OWN_REST.fullmatch(reply_to.removeprefix(own))
    ):
        return reply_to
    raise UnreadableRequestError(
        f"reply_to: {DIRECT_REPLIES}, or {OWN_REPLIES}.<user> and what begins with that and a dot."
    )
