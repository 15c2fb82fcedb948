"""A receiver of webhooks: remembers what it was sent, and answers as it is told to."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.ports import LOOPBACK


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent."""
        event: dict[str, Any] = json.loads(self.body)
        return event


@dataclass(frozen=True)
class Reply:
    """What to answer."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Receiver:
    """Answers ``answer(request)``, which a test may exchange at any time."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Callable[[Received], Reply] = lambda _: Reply()
        self.address = LOOPBACK
        self.port = 0
        self.scheme = "http"

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self.scheme}://{self.address}:{self.port}/in"

    def ids(self) -> list[str]:
        """Return the ids of the messages that came, in order."""
        return [each.headers["webhook-id"] for each in self.received]

    def numbers(self) -> list[int]:
        """Return the numbers in the events' data, in order."""
        return [each.event["data"]["number"] for each in self.received]

    def note(self, request: Received) -> Reply:
        """Remember a request, and decide what to answer."""
        self.received.append(request)
        return self.answer(request)


@contextmanager
def receiver(
    *, tls: ssl.SSLContext | None = None, address: str = LOOPBACK, port: int = 0
) -> Iterator[Receiver]:
    """Run a receiver until the block ends."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                return  # the sender was killed meanwhile
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = found.note(Received(self.path, headers, body))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a sender that does not trust us, or had enough

    server = Server((address, port), Handler)
    if tls is not None:
        found.scheme = "https"
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    found.address, found.port = address, server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def rude_receiver(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run a server that does with each connection what ``behave`` does; yield its port."""
    listening = socket.create_server((LOOPBACK, 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=_until_gone, args=(behave, connection), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def _until_gone(behave: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with connection:
        try:
            connection.recv(65536)
            behave(connection)
        except OSError:
            pass  # the sender had enough
