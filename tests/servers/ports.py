"""Ports of test servers: choosing one, and seeing which are open."""

import secrets
import socket
import sys
from contextlib import suppress
from pathlib import Path

LOOPBACK = "127.0.0.1"

_LISTENING = "0A"

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


def listening_sockets(process: int) -> set[tuple[str, int]]:
    """Return the addresses and TCP ports on which a process listens."""
    own = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            own.add(str(descriptor.readlink()))
    found = set()
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for row in Path(f"/proc/{process}/net/{table}").read_text(encoding="ascii").splitlines():
            fields = row.split()
            if fields[3] == _LISTENING and f"socket:[{fields[9]}]" in own:
                address, port = fields[1].split(":")
                found.add((_address(family, address), int(port, 16)))
    return found


def _address(family: socket.AddressFamily, in_hexadecimal: str) -> str:
    """Read an address as the kernel shows it: words of four bytes in the order of the machine."""
    packed = bytes.fromhex(in_hexadecimal)
    words = [packed[start : start + 4] for start in range(0, len(packed), 4)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return socket.inet_ntop(family, b"".join(words))
