"""A mail server that says exactly what a test tells it to, also what no sane server would."""

import socket
import socketserver
import threading
from collections import defaultdict, deque
from types import TracebackType
from typing import Self

HANG_UP = "(hang up)"
SILENCE = "(silence)"

_USUAL = {"DATA": "354 Go ahead", ".": "250 2.0.0 Taken", "QUIT": "221 Bye"}


class ScriptedServer:
    """Serves on loopback inside a ``with`` block; keeps the commands of each connection.

    ``next_replies(verb, …)`` sets what the next commands of that verb are answered; ``.`` is the
    end of a message. ``HANG_UP`` ends the connection instead, after the reply in front of it, if
    any; ``SILENCE`` says nothing. With ``pipelining``, that is offered, and MAIL and RCPT are
    answered only once DATA has come, too.
    """

    def __init__(self, *extensions: str, pipelining: bool = False) -> None:
        self.connections: list[list[str]] = []
        self.contents: list[bytes] = []
        self.hung_up = threading.Event()
        self._pipelining = pipelining
        offered = ["mail.test", *extensions, *(["PIPELINING"] if pipelining else [])]
        self._greeting = "".join(f"250-{line}\r\n" for line in offered) + "250 HELP"
        self._replies: defaultdict[str, deque[str]] = defaultdict(deque)
        scripted = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                scripted._serve(self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._server.server_address[1]}"

    def next_replies(self, verb: str, *replies: str) -> None:
        self._replies[verb].extend(replies)

    def _serve(self, session: socketserver.StreamRequestHandler) -> None:
        commands: list[str] = []
        self.connections.append(commands)
        if not self._answer(session, "220 mail.test"):
            return
        held_back: list[str] = []
        while line := session.rfile.readline().decode().rstrip("\r\n"):
            verb = line.split(" ")[0].upper()
            commands.append(verb + line[len(verb) :])
            held_back.append(self._reply_to(verb))
            if self._pipelining and verb in ("MAIL", "RCPT"):
                continue
            data_accepted = verb == "DATA" and held_back[-1].startswith("354")
            while held_back:
                if not self._answer(session, held_back.pop(0)):
                    return
            if data_accepted:
                self._read_content(session)
                if not self._answer(session, self._reply_to(".")):
                    return

    def _reply_to(self, verb: str) -> str:
        if self._replies[verb]:
            return self._replies[verb].popleft()
        return self._greeting if verb == "EHLO" else _USUAL.get(verb, "250 2.0.0 Fine")

    def _answer(self, session: socketserver.StreamRequestHandler, reply: str) -> bool:
        """Give a reply; return whether the connection goes on."""
        said = reply.removesuffix(HANG_UP)
        if said and said != SILENCE:
            session.wfile.write(f"{said}\r\n".encode())
        if reply.endswith(HANG_UP):
            session.connection.shutdown(socket.SHUT_RDWR)
            self.hung_up.set()
            return False
        return True

    def _read_content(self, session: socketserver.StreamRequestHandler) -> None:
        lines: list[bytes] = []
        while (line := session.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        self.contents.append(b"".join(lines))
