"""Choosing the port of a test server."""

import secrets
import socket

LOOPBACK = "127.0.0.1"

# Below 32768, from where Linux takes the ports of clients. So no client can be given the port of a
# server that is down for a moment, nor connect to itself while it tries to reach that server.
_CANDIDATES = range(20_000, 32_000)


def free_port() -> int:
    """Return a TCP port that nothing uses on the loopback interface."""
    while True:
        port = secrets.choice(_CANDIDATES)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        return port
