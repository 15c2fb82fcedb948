"""Handing messages to a mail server, over one connection that is kept open."""

import re
import smtplib
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, NamedTuple

from workers.errors import TransientError
from workers.notifications.mail_server import SmtpServer
from workers.notifications.message import Message, wire_address
from workers.notifications.plain_text import plain, shorten

__all__ = ["MailServerUnavailableError", "SendOutcome", "SmtpServer", "SmtpSession"]

_MAX_REPLY_LENGTH = 200
# A server may look into a message before it answers. Giving up too soon means sending it twice, so
# RFC 5321 §4.5.3.2.6 asks for more patience here than anywhere else.
_PATIENCE_AFTER_CONTENT = 4

_OK = range(200, 300)
_GO_AHEAD = 354
_CLOSING = 421
_AUTHENTICATION_REQUIRED = 530
_PERMANENT = 500


class MailServerUnavailableError(TransientError):
    """No mail can be sent at the moment, to nobody; the text names the server and what failed."""

    code = "mail-server-unavailable"
    title = "The mail server cannot be used right now"


class _LostError(Exception):
    """The connection ended, surely before a message was accepted."""


@dataclass(frozen=True)
class SendOutcome:
    """What the mail server said about one message to one recipient.

    ``accepted``: it answers for the message now; ``deferred``: it wants to be asked again later;
    ``refused``: never. ``code`` is None where no server was asked. ``reply`` holds no addresses.
    """

    state: Literal["accepted", "deferred", "refused"]
    code: int | None
    reply: str


class _Reply(NamedTuple):
    code: int
    text: bytes


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

        Servers close connections that were idle for long. If that is noticed before the message was
        handed over, it is sent again over a new connection.

        Raises:
            UnsendableError: no mail can go to this address.
            MailServerUnavailableError: the server could not be used. If the connection broke between
                the message and the reply, the message may have been delivered.
        """
        address = wire_address(recipient)
        if self._connection is not None:
            with suppress(_LostError):
                return self._attempt(self._connection, message, address)
        try:
            return self._attempt(self._connect(), message, address)
        except _LostError as error:
            raise self._unavailable(str(error)) from error

    def close(self) -> None:
        """End the connection, if there is one; the next message opens another."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.quit()
        self._drop()

    def _attempt(self, connection: smtplib.SMTP, message: Message, recipient: str) -> SendOutcome:
        options = ""
        if not recipient.isascii():
            if not connection.has_extn("smtputf8"):
                return SendOutcome(
                    "refused",
                    code=None,
                    reply="The mail server takes no letters outside ASCII before the “@” of an"
                    " address.",
                )
            options = " SMTPUTF8"
        try:
            replies = _offer(
                connection,
                [f"MAIL FROM:<{message.sender}>{options}", f"RCPT TO:<{recipient}>", "DATA"],
            )
        except OSError as error:
            self._drop()
            raise _LostError(_in_words(error)) from error
        if any(reply.code == _CLOSING for reply in replies):
            self._drop()
            raise _LostError(f"closed the connection: {_clean(replies[-1].text)}")
        if replies[-1].code == _GO_AHEAD and all(reply.code in _OK for reply in replies[:-1]):
            return self._hand_over(connection, message)
        self._withdraw(connection, replies)
        return self._judge(replies)

    def _hand_over(self, connection: smtplib.SMTP, message: Message) -> SendOutcome:
        """Send the content after the server said to go ahead."""
        assert connection.sock is not None
        try:
            connection.send(message.content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            connection.sock.settimeout(self._server.timeout_seconds * _PATIENCE_AFTER_CONTENT)
            reply = _Reply(*connection.getreply())
            connection.sock.settimeout(self._server.timeout_seconds)
        except OSError as error:
            self._drop()
            raise self._unavailable(
                f"did not confirm a message ({_in_words(error)}); it may have been delivered"
            ) from error
        if reply.code == _CLOSING:
            self._drop()
            raise self._unavailable(f"closed the connection: {_clean(reply.text)}")
        return _outcome(reply)

    def _withdraw(self, connection: smtplib.SMTP, replies: Sequence[_Reply]) -> None:
        """Bring the session back to where the next message can begin."""
        try:
            if replies[-1].code == _GO_AHEAD:
                # A pipelined DATA may be accepted for nobody: an empty message ends it (RFC 2920 §3.1).
                connection.send(b".\r\n")
                connection.getreply()
            connection.rset()
        except OSError:
            self._drop()

    def _judge(self, replies: Sequence[_Reply]) -> SendOutcome:
        """Tell a no to this message from one to everything that we send."""
        stage = next(stage for stage, reply in enumerate(replies) if reply.code not in _OK)
        reply = replies[stage]
        said = f"{reply.code} {_clean(reply.text)}"
        if reply.code == _AUTHENTICATION_REQUIRED:
            raise self._unavailable(
                f"wants a user and a password, or encryption ({said}); check KEYWRIGHT_SMTP_URL"
            )
        if stage == 0 and reply.code >= _PERMANENT:
            raise self._unavailable(f"refused the sender ({said}); check KEYWRIGHT_MAIL_FROM")
        return _outcome(reply)

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        connection: smtplib.SMTP | None = None
        try:
            # The name is replaced below: smtplib would look up one in the DNS, however long it takes.
            if server.encryption == "implicit":
                connection = smtplib.SMTP_SSL(
                    server.host,
                    server.port,
                    local_hostname="localhost",
                    timeout=server.timeout_seconds,
                    context=server.tls,
                )
            else:
                connection = smtplib.SMTP(
                    server.host,
                    server.port,
                    local_hostname="localhost",
                    timeout=server.timeout_seconds,
                )
            connection.local_hostname = _address_literal(connection.sock)
            self._secure(connection)
            if server.user is not None and server.password is not None:
                connection.login(server.user, server.password)
            connection.ehlo_or_helo_if_needed()
        except (OSError, MailServerUnavailableError) as error:
            if connection is not None:
                connection.close()
            if isinstance(error, MailServerUnavailableError):
                raise
            raise self._unavailable(_in_words(error)) from error
        self._connection = connection
        return connection

    def _secure(self, connection: smtplib.SMTP) -> None:
        server = self._server
        if server.encryption in ("implicit", "none"):
            return
        connection.ehlo_or_helo_if_needed()
        if connection.has_extn("starttls"):
            connection.starttls(context=server.tls)
        elif server.encryption == "required":
            raise self._unavailable("offers no STARTTLS; see tls=… in KEYWRIGHT_SMTP_URL")
        elif server.user is not None:
            raise self._unavailable("offers no STARTTLS, and the password may not travel in clear")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _unavailable(self, what: str) -> MailServerUnavailableError:
        return MailServerUnavailableError(f"The mail server {self._server} {what.rstrip('.')}.")


def _offer(connection: smtplib.SMTP, commands: Sequence[str]) -> list[_Reply]:
    """Send commands and return the replies: of all, or up to the first that was refused.

    A server that can takes them in one go, which saves all round trips but one (RFC 2920).
    """
    if connection.has_extn("pipelining"):
        connection.send("".join(f"{command}\r\n" for command in commands).encode())
        return [_Reply(*connection.getreply()) for _ in commands]
    replies: list[_Reply] = []
    for command in commands:
        connection.send(f"{command}\r\n".encode())
        replies.append(_Reply(*connection.getreply()))
        if replies[-1].code not in _OK:
            break
    return replies


def _outcome(reply: _Reply) -> SendOutcome:
    if reply.code in _OK:
        return SendOutcome("accepted", reply.code, _clean(reply.text))
    state: Literal["deferred", "refused"] = "refused" if reply.code >= _PERMANENT else "deferred"
    return SendOutcome(state, reply.code, _clean(reply.text))


def _clean(text: bytes) -> str:
    """Return what a server said as one short line without addresses."""
    line = plain(text.decode("utf-8", "replace"))
    return shorten(re.sub(r"<?[^\s<>@]+@[^\s<>@]+>?", "(address)", line), _MAX_REPLY_LENGTH)


def _in_words(error: OSError) -> str:
    """Say what failed, to follow “The mail server …”."""
    match error:
        case smtplib.SMTPAuthenticationError():
            return f"refused user or password ({error.smtp_code}); check KEYWRIGHT_SMTP_URL"
        case smtplib.SMTPNotSupportedError():
            return "offers no log-in that we know; check user and tls in KEYWRIGHT_SMTP_URL"
        case smtplib.SMTPResponseException():
            text = error.smtp_error
            said = _clean(text if isinstance(text, bytes) else text.encode())
            return f"said {error.smtp_code} {said}"
        case ssl.SSLCertVerificationError():
            return f"has a certificate that is not trusted: {error.verify_message}"
        case socket.gaierror():
            return "has a name that cannot be resolved; check KEYWRIGHT_SMTP_URL"
        case TimeoutError():
            return "did not answer in time"
        case smtplib.SMTPServerDisconnected():
            return f"ended the connection: {error}"
    return f"cannot be reached: {error.strerror or error}"


def _address_literal(connected: socket.socket | None) -> str:
    """Return this end of the connection as the name to greet with (RFC 5321 §4.1.3)."""
    assert connected is not None
    address: str = connected.getsockname()[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
