"""Handing messages to a mail server, over one connection that is kept open."""

import smtplib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, NamedTuple

from workers.notifications.mail_server import SmtpServer
from workers.notifications.message import Message, wire_address
from workers.notifications.smtp_connection import (
    error_in_words,
    open_connection,
    reply_in_words,
)

# A server may look into a message before it answers. Giving up too soon means sending it twice, so
# RFC 5321 §4.5.3.2.6 asks for more patience here than anywhere else.
_PATIENCE_AFTER_CONTENT = 4

_OK = range(200, 300)
_GO_AHEAD = range(354, 355)
_EXPECTED = (_OK, _OK, _GO_AHEAD)  # of MAIL, RCPT and DATA
_CLOSING = 421
_PERMANENT = 500
_AUTHENTICATION_REQUIRED = 530


@dataclass(frozen=True)
class SendOutcome:
    """What the mail server said about one message to one recipient.

    ``accepted``: it answers for the message now; ``deferred``: it wants to be asked again later;
    ``refused``: never. ``code`` is None where the server was not asked. ``reply`` is one short line
    without addresses.
    """

    state: Literal["accepted", "deferred", "refused"]
    code: int | None
    reply: str


class _Reply(NamedTuple):
    code: int
    text: bytes


class _LostError(Exception):
    """The connection ended before the message was handed over."""


class SmtpSession:
    """A connection to a mail server: opened by the first message, used until it breaks.

    For one thread at a time.
    """

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._connection: smtplib.SMTP | None = None

    def __del__(self) -> None:
        # Worker threads end without telling anyone; no time is spent on a farewell here.
        self._drop()

    def send(self, message: Message, recipient: str) -> SendOutcome:
        """Send a message to one address and return what the server said.

        Servers close connections that were idle for long. Where that is noticed before the message
        was handed over, it is sent over a new connection.

        Raises:
            UnsendableError: no mail can go to this address.
            MailServerUnavailableError: the server could not be used. If the connection broke
                between the message and the reply, the message may have been delivered.
        """
        address = wire_address(recipient)
        if self._connection is not None:
            with suppress(_LostError):
                return self._attempt(self._connection, message, address)
        self._connection = open_connection(self._server)
        try:
            return self._attempt(self._connection, message, address)
        except _LostError as error:
            raise self._server.unavailable(str(error)) from error

    def close(self) -> None:
        """End the connection, if there is one; the next message opens another."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.quit()
        self._drop()

    def _attempt(self, connection: smtplib.SMTP, message: Message, recipient: str) -> SendOutcome:
        if not recipient.isascii() and not connection.has_extn("smtputf8"):
            return SendOutcome(
                "refused", None, "The mail server takes only ASCII before the “@” of an address."
            )
        option = "" if recipient.isascii() else " SMTPUTF8"
        commands = [f"MAIL FROM:<{message.sender}>{option}", f"RCPT TO:<{recipient}>", "DATA"]
        try:
            replies = _offer(connection, commands)
        except OSError as error:
            self._drop()
            raise _LostError(error_in_words(error)) from error
        stage = _first_unexpected(replies)
        if stage is None:
            return self._hand_over(connection, message)
        if replies[stage].code == _CLOSING:
            self._drop()
            raise _LostError(f"closed the connection: {reply_in_words(replies[stage].text)}")
        self._withdraw(connection, replies)
        return self._judge(stage, replies[stage])

    def _hand_over(self, connection: smtplib.SMTP, message: Message) -> SendOutcome:
        """Send the content after the server said to go ahead."""
        try:
            connection.send(message.content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            _set_timeout(connection, self._server.timeout_seconds * _PATIENCE_AFTER_CONTENT)
            reply = _Reply(*connection.getreply())
            _set_timeout(connection, self._server.timeout_seconds)
        except OSError as error:
            self._drop()
            raise self._server.unavailable(
                f"{error_in_words(error)} before it confirmed a message; that may be delivered"
            ) from error
        if reply.code == _CLOSING:
            self._drop()
            raise self._server.unavailable(f"closed the connection: {reply_in_words(reply.text)}")
        if reply.code in _OK:
            return SendOutcome("accepted", reply.code, reply_in_words(reply.text))
        return _negative(reply)

    def _withdraw(self, connection: smtplib.SMTP, replies: Sequence[_Reply]) -> None:
        """Bring the session back to where the next message can begin."""
        try:
            if replies[-1].code in _GO_AHEAD:
                # A pipelined DATA may be accepted for nobody; RFC 2920 §3.1: end it at once.
                connection.send(b".\r\n")
                connection.getreply()
            connection.rset()
        except OSError:
            self._drop()

    def _judge(self, stage: int, reply: _Reply) -> SendOutcome:
        """Tell a “no” to this message from a “no” to everything that we send."""
        said = f"{reply.code} {reply_in_words(reply.text)}"
        if reply.code == _AUTHENTICATION_REQUIRED:
            raise self._server.unavailable(
                f"wants a user and password, or encryption ({said}); check KEYWRIGHT_SMTP_URL"
            )
        if stage == 0 and reply.code >= _PERMANENT:
            raise self._server.unavailable(
                f"refused the sender ({said}); check KEYWRIGHT_MAIL_FROM"
            )
        return _negative(reply)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _offer(connection: smtplib.SMTP, commands: Sequence[str]) -> list[_Reply]:
    """Send MAIL, RCPT and DATA; return their replies, or those up to the first unexpected one.

    A server that can takes them in one go, which saves two of three round trips (RFC 2920).
    """
    if connection.has_extn("pipelining"):
        connection.send("".join(f"{command}\r\n" for command in commands).encode())
        return [_Reply(*connection.getreply()) for _ in commands]
    replies: list[_Reply] = []
    for command in commands:
        connection.send(f"{command}\r\n".encode())
        replies.append(_Reply(*connection.getreply()))
        if _first_unexpected(replies) is not None:
            break
    return replies


def _first_unexpected(replies: Sequence[_Reply]) -> int | None:
    """Return the position of the first reply that is not the one to go on with."""
    stages = zip(replies, _EXPECTED, strict=False)
    return next(
        (i for i, (reply, expected) in enumerate(stages) if reply.code not in expected), None
    )


def _negative(reply: _Reply) -> SendOutcome:
    return SendOutcome(
        "refused" if reply.code >= _PERMANENT else "deferred",
        reply.code,
        reply_in_words(reply.text),
    )


def _set_timeout(connection: smtplib.SMTP, seconds: float) -> None:
    if connection.sock is not None:
        connection.sock.settimeout(seconds)
