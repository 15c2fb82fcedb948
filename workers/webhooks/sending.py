"""One message to one endpoint: POST, and what the answer means. It never raises for the receiver.

What the receiver writes besides its status is read a little, for good manners, and dropped.
"""

import io
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from socket import socket
from typing import cast

from workers.webhooks.addresses import ForbiddenAddressError
from workers.webhooks.connecting import Deadline, Resolve, UnreachableError, open_connection
from workers.webhooks.destination import Destination

TOTAL_SECONDS = 15.0
_DRAIN_SECONDS = 0.5
_MOST_BYTES_OF_ANSWER = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of it: ``status`` None means none, and ``error`` None that it was accepted.

    ``retry_after_seconds`` is what the receiver asks for, negative or huge as it may be.
    """

    status: int | None = None
    error: str | None = None
    retry_after_seconds: float | None = None


def send(
    destination: Destination,
    body: bytes,
    headers: Mapping[str, str],
    *,
    tls: ssl.SSLContext,
    resolve: Resolve,
    now: datetime,
    total_seconds: float = TOTAL_SECONDS,
) -> Answer:
    """Send a message and return what became of it, after ``total_seconds`` at the latest.

    Only looking up the name may add to that, as long as the system's resolver takes.
    """
    deadline = Deadline(total_seconds)
    try:
        with open_connection(destination, deadline, tls=tls, resolve=resolve) as connection:
            return _exchange(_LimitedSocket(connection, deadline), destination, body, headers, now)
    except ForbiddenAddressError as error:
        return Answer(error=str(error))
    except UnreachableError as error:
        return Answer(error=f"The endpoint {error}.")
    except TimeoutError:
        return Answer(error=f"The endpoint took longer than {total_seconds:g} seconds.")
    except (OSError, HTTPException, ValueError):
        return Answer(error="The endpoint broke off, or did not answer as HTTP has it.")


def _exchange(
    connection: "_LimitedSocket",
    destination: Destination,
    body: bytes,
    headers: Mapping[str, str],
    now: datetime,
) -> Answer:
    http = HTTPConnection(destination.host, destination.port)
    http.sock = cast("socket", connection)
    http.request(
        "POST",
        destination.target,
        body,
        {"Host": destination.authority, "Connection": "close", "User-Agent": "keywright"}
        | dict(headers),
    )
    response = http.getresponse()
    answer = Answer(
        status=response.status,
        error=_fault(response.status),
        retry_after_seconds=_seconds(response.headers.get("Retry-After"), now),
    )
    connection.hurry(_DRAIN_SECONDS)
    with suppress(OSError, HTTPException, ValueError):
        response.read(_MOST_BYTES_OF_ANSWER)
    return answer


def _fault(status: int) -> str | None:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"The endpoint answered {status}; redirects are not followed, set its new URL."
    return f"The endpoint answered {status}."


def _seconds(text: str | None, now: datetime) -> float | None:
    """Read a header Retry-After: seconds or a date (RFC 9110 §10.2.3); None if it is neither."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp()


class _LimitedSocket:
    """As much of a socket as ``http.client`` uses; each operation gets only what time is left.

    The timeout of a socket is for one operation: who sends a byte now and then would never end.
    """

    def __init__(self, connection: socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._connection.settimeout(self._deadline.remaining())
        self._connection.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_LimitedReader(self))

    def receive_into(self, buffer: memoryview) -> int:
        self._connection.settimeout(self._deadline.remaining())
        return self._connection.recv_into(buffer)

    def hurry(self, seconds: float) -> None:
        """Leave at most so many seconds from now on."""
        with suppress(TimeoutError):
            self._deadline = Deadline(self._deadline.remaining(seconds))

    def close(self) -> None:
        """Do nothing: whoever opened the connection closes it."""


class _LimitedReader(io.RawIOBase):
    """Reads from a connection, and not more than an answer may have."""

    def __init__(self, connection: _LimitedSocket) -> None:
        self._connection = connection
        self._left = _MOST_BYTES_OF_ANSWER

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._left <= 0:
            raise HTTPException
        count = self._connection.receive_into(memoryview(buffer)[: self._left])
        self._left -= count
        return count
