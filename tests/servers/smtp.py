"""A mail server that keeps what it is sent and fails the way mail servers fail."""

import asyncio
import ssl
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import quote

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.servers.loop_thread import LoopThread
from tests.servers.ports import LOOPBACK, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

Security = Literal["none", "starttls", "tls"]


@dataclass(frozen=True, kw_only=True)
class ReceivedMail:
    """One message as it came over the wire, with the recipients that were accepted for it."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """The message, parsed."""
        return message_from_bytes(self.raw, policy=policy.default)


class SmtpSink:
    """An SMTP server on loopback, in a thread of its own; it delivers nothing.

    It runs from the moment it is made until ``close`` or the end of the ``with`` block. With
    ``credentials`` (user, password) it takes no mail before they were given. ``security`` says
    whether it offers no encryption, refuses mail before STARTTLS, or speaks TLS from the first
    byte. It shows the ``certificate`` in two PEM files (chain, key), or else one that can be
    verified with the file ``ca_pem_path``.
    """

    def __init__(
        self,
        *,
        credentials: tuple[str, str] | None = None,
        security: Security = "none",
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self.port = free_port()
        self.messages: list[ReceivedMail] = []
        self.connections = 0
        self._credentials = credentials
        self._security = security
        self._replies: dict[str, Iterator[str]] = {}
        self._hang_ups = 0
        self._arrival = threading.Condition()
        self._sessions: list[SMTP] = []
        self._server: asyncio.Server | None = None
        self._directory = tempfile.TemporaryDirectory(prefix="smtp-")
        self._context = None if security == "none" else self._present(certificate)
        self._thread = LoopThread("smtp-sink")
        self.up()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Such as ``smtp://user:password@127.0.0.1:2525``; ``smtps`` for TLS from the start."""
        scheme = "smtps" if self._security == "tls" else "smtp"
        login = ":".join(quote(part, safe="") for part in self._credentials or ())
        return f"{scheme}://{login}{'@' if login else ''}{LOOPBACK}:{self.port}"

    @property
    def ca_pem_path(self) -> Path:
        """The certificate authority to trust; there is one if ``security`` is not ``none``."""
        return Path(self._directory.name) / "ca.pem"

    def refuse(self, recipient: str, reply: str = "550 5.1.1 No such mailbox") -> None:
        """Answer every RCPT of this address with ``reply``."""
        self._replies[recipient] = repeat(reply)

    def defer(
        self, recipient: str, reply: str = "451 4.7.1 Try again later", *, times: int | None = None
    ) -> None:
        """Answer the next ``times`` RCPTs of this address, or all of them, with ``reply``."""
        self._replies[recipient] = repeat(reply) if times is None else repeat(reply, times)

    def hang_up_after_data(self, times: int = 1) -> None:
        """Keep the next messages, but drop the connection where the reply would be.

        The sender cannot know whether such a message was delivered. It was.
        """
        self._hang_ups = times

    def wait_for(self, count: int, timeout: float = 10) -> list[ReceivedMail]:
        """Wait until ``count`` messages are there and return all; raise TimeoutError if not."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: len(self.messages) >= count, timeout):
                raise TimeoutError(
                    f"{len(self.messages)} of {count} messages came within {timeout} s."
                )
            return list(self.messages)

    def down(self) -> None:
        """Refuse connections and break those that are open."""
        self._thread.run(self._stop_listening())

    def up(self) -> None:
        """Take connections, on the same port as before."""
        self._thread.run(self._listen())

    def close(self) -> None:
        """End the server; fine if that was done before."""
        if not self._thread.loop.is_closed():
            self.down()
            self._thread.close()
            self._directory.cleanup()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await self._thread.loop.create_server(
                self._session,
                LOOPBACK,
                self.port,
                ssl=self._context if self._security == "tls" else None,
            )

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for session in self._sessions:
            _break_off(session)
        self._sessions.clear()

    def _session(self) -> SMTP:
        """Make the protocol of one more connection."""
        self.connections += 1
        session = SMTP(
            _Hooks(self),
            hostname="mail.test",
            loop=self._thread.loop,
            tls_context=self._context if self._security == "starttls" else None,
            require_starttls=self._security == "starttls",
            authenticator=self._authenticate,
            # aiosmtpd knows only STARTTLS as encryption; and without credentials, no AUTH.
            auth_require_tls=self._security == "starttls" or self._credentials is None,
        )
        self._sessions.append(session)
        return session

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: object
    ) -> AuthResult:
        expected = LoginPassword(*(part.encode() for part in self._credentials or ("", "")))
        return AuthResult(success=login == expected, handled=False)

    def _keep(self, envelope: Envelope) -> bool:
        """Add what was received to the messages; return whether to hang up now."""
        mail = ReceivedMail(
            sender=envelope.mail_from or "",
            recipients=tuple(envelope.rcpt_tos),
            raw=envelope.original_content or b"",
        )
        with self._arrival:
            hang_up = self._hang_ups > 0
            self._hang_ups -= hang_up
            self.messages.append(mail)
            self._arrival.notify_all()
        return hang_up

    def _present(self, certificate: tuple[Path, Path] | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if certificate is not None:
            context.load_cert_chain(*certificate)
            return context
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_pem_path))
        authority.issue_cert(LOOPBACK, "localhost").configure_cert(context)
        return context


def _break_off(session: SMTP) -> None:
    if isinstance(session.transport, asyncio.Transport):  # None once the connection is gone
        # Up to Python 3.11.4, a TLS transport that is closed already says so in this way.
        with suppress(AttributeError):
            session.transport.abort()


class _Hooks:
    """What aiosmtpd asks about each command, under the names that it looks for."""

    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._sink._credentials and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = next(self._sink._replies.get(address, iter(())), "250 2.1.5 OK")
        if reply.startswith("2"):
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return reply

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        if self._sink._keep(envelope):
            _break_off(server)
            # The loss of the connection cancels this; nothing more is said.
            await server.loop.create_future()
        return "250 2.0.0 OK"
