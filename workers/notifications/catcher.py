"""The local mail catcher: a mail server that writes every message into a file, for people to read.

It takes mail for anybody, delivers nothing, and listens on this machine only.
"""

import asyncio
import re
import tempfile
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakSet

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

log = structlog.get_logger(__name__)

_HOST = "127.0.0.1"
_MAX_MESSAGE_BYTES = 10 * 1024 * 1024
_MAX_NAME_LENGTH = 80


class MailCatcher:
    """Catches mail inside a ``with`` block, in a thread of its own.

    Each message becomes one numbered file such as ``0001-ann@example.org.eml`` in ``directory``,
    for its owner only, and is there in full as soon as it is there. The numbers go on after a
    restart. One catcher at a time may write into a directory.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._port = 0
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The ``KEYWRIGHT_SMTP_URL`` to send to it while it runs."""
        return f"smtp://{_HOST}:{self._port}"

    @property
    def is_running(self) -> bool:
        """Whether mail is being caught."""
        return self._thread is not None and self._thread.is_alive()

    def __enter__(self) -> Self:
        # aiosmtpd warns about its own use of what it has deprecated.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="aiosmtpd")
        folder = _MailFolder(self.directory)
        listening: Future[int] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(folder, listening)),
            name="mail-catcher",
            daemon=True,
        )
        self._thread.start()
        self._port = listening.result()
        log.info("catching mail", url=self.url, directory=str(self.directory))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    async def _serve(self, folder: "_MailFolder", listening: "Future[int]") -> None:
        loop = self._loop = asyncio.get_running_loop()
        sessions: WeakSet[SMTP] = WeakSet()

        def begin_session() -> SMTP:
            session = SMTP(
                folder,
                data_size_limit=_MAX_MESSAGE_BYTES,
                enable_SMTPUTF8=True,
                hostname="localhost",
                loop=loop,
            )
            sessions.add(session)
            return session

        try:
            server = await loop.create_server(begin_session, _HOST, 0)
        except OSError as error:
            listening.set_exception(error)
            return
        listening.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        for session in sessions:
            if session.transport is not None:
                session.transport.close()


class _MailFolder:
    """Writes what aiosmtpd hands over into numbered files."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        self._directory = directory
        self._number = max(
            (int(file.name.partition("-")[0]) for file in directory.glob("[0-9]*-*.eml")),
            default=0,
        )

    async def handle_DATA(  # noqa: N802 - aiosmtpd looks for this name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        try:
            name = self._store(envelope.original_content or b"", envelope.rcpt_tos)
        except OSError as error:
            log.warning("a mail could not be written", reason=error.strerror)
            return "452 4.3.1 The message could not be written to a file"
        return f"250 2.0.0 Caught as {name}"

    def _store(self, content: bytes, recipients: Sequence[str]) -> str:
        number = self._number + 1
        target = self._directory / f"{number:04}-{_name_of(recipients)}.eml"
        # The temporary file is for its owner only; a rename shows it in full or not at all.
        with tempfile.NamedTemporaryFile(dir=self._directory, prefix=".", delete=False) as file:
            unfinished = Path(file.name)
            try:
                file.write(content)
                file.flush()
                unfinished.rename(target)
            except OSError:
                unfinished.unlink()
                raise
        self._number = number
        return f"{number:04}"


def _name_of(recipients: Sequence[str]) -> str:
    name = re.sub(r"[^A-Za-z0-9@._+-]+", "_", recipients[0])[:_MAX_NAME_LENGTH]
    return name if len(recipients) == 1 else f"{name}+{len(recipients) - 1}"
