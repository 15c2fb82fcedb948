"""Connections to where a webhook goes: to the address that was checked, and to no other.

The name is looked up once. Whoever answers differently the second time (DNS rebinding) is not
asked a second time; TLS still verifies the name. Proxies that an environment names are not used:
they would look the name up themselves.
"""

import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from workers.tls import distrust_in_words
from workers.webhooks.addresses import check_address
from workers.webhooks.destination import Destination

Resolve: TypeAlias = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host, in text; raises OSError where it has none."""

_MOST_ADDRESSES = 4
_CONNECT_SECONDS = 5.0


class UnreachableError(Exception):
    """No connection came about; the text says why, to follow "the endpoint"."""


class Deadline:
    """A moment of the steady clock by which all must be over."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def remaining(self, most: float | None = None) -> float:
        """Return how many seconds are left, at most ``most``.

        Raises:
            TimeoutError: none.
        """
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left if most is None else min(left, most)


def look_up(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host as the system knows them.

    Raises:
        OSError: it has none, or the name servers do not answer.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def open_connection(
    destination: Destination, deadline: Deadline, *, tls: ssl.SSLContext, resolve: Resolve
) -> socket.socket:
    """Connect, over TLS where the URL says https, and verify who is there.

    Raises:
        ForbiddenAddressError: one of the host's addresses is not allowed; nothing was sent to any.
        UnreachableError: nobody is there, or somebody else.
        TimeoutError: it took longer than ``deadline`` allows.
    """
    connection = _connect(_checked_addresses(destination, resolve), destination.port, deadline)
    if not destination.is_encrypted:
        return connection
    try:
        connection.settimeout(deadline.remaining())
        return tls.wrap_socket(connection, server_hostname=destination.host)
    except ssl.SSLCertVerificationError as error:
        connection.close()
        raise UnreachableError(distrust_in_words(error, "the endpoint's URL")) from None
    except TimeoutError:
        connection.close()
        raise
    except OSError:
        connection.close()
        raise UnreachableError("does not speak TLS as we do (1.2 or later)") from None


def _checked_addresses(destination: Destination, resolve: Resolve) -> list[str]:
    try:
        addresses = list(resolve(destination.host, destination.port))
    except (OSError, UnicodeError):
        addresses = []
    if not addresses:
        raise UnreachableError("has a host name that leads nowhere; look it up on a worker")
    # All of them: which one is tried first must not decide whether it is allowed.
    for address in addresses:
        check_address(address, allow_private=destination.allow_private)
    return addresses[:_MOST_ADDRESSES]


def _connect(addresses: Sequence[str], port: int, deadline: Deadline) -> socket.socket:
    reason = "does not answer"
    for address in addresses:
        try:
            return socket.create_connection(
                (address, port), timeout=deadline.remaining(_CONNECT_SECONDS)
            )
        except ConnectionRefusedError:
            reason = "refuses connections"
        except OSError:
            reason = "does not answer"
    raise UnreachableError(reason)
