"""The proxy, in front of an echo server."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.servers.ports import LOOPBACK
from tests.servers.tcp_proxy import TcpProxy

_PATIENCE_SECONDS = 10
_LONG_ENOUGH_FOR_AN_ECHO_SECONDS = 0.3


def _echo(listener: socket.socket) -> None:
    def answer(client: socket.socket) -> None:
        with client:
            try:
                while chunk := client.recv(65_536):
                    client.sendall(chunk)
            except OSError:
                return  # reset by the proxy

    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return  # the test is over
        threading.Thread(target=answer, args=[client], daemon=True).start()


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    with socket.create_server((LOOPBACK, 0)) as listener:
        threading.Thread(target=_echo, args=[listener], daemon=True).start()
        with TcpProxy(listener.getsockname()[1]) as proxy:
            yield proxy
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def client(proxy: TcpProxy) -> Iterator[socket.socket]:
    with _connect(proxy) as client:
        assert _says(client, b"hello") == b"hello"
        yield client


def _connect(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection((LOOPBACK, proxy.port), _PATIENCE_SECONDS)


def _receive(client: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count and (chunk := client.recv(count - len(received))):
        received += chunk
    return received


def _says(client: socket.socket, words: bytes) -> bytes:
    client.sendall(words)
    return _receive(client, len(words))


def test_bytes_go_both_ways_whole_and_in_order(client: socket.socket) -> None:
    words = bytes(range(256)) * 4096
    threading.Thread(target=client.sendall, args=[words], daemon=True).start()
    assert _receive(client, len(words)) == words


def test_the_end_of_one_side_reaches_the_other(client: socket.socket) -> None:
    client.sendall(b"the last words")
    client.shutdown(socket.SHUT_WR)
    assert _receive(client, 100) == b"the last words"
    assert client.recv(1) == b""


def test_a_cut_resets_connections_and_takes_new_ones(
    proxy: TcpProxy, client: socket.socket
) -> None:
    assert proxy.cut() == 1
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert proxy.connections == 0
    with _connect(proxy) as again:
        assert _says(again, b"again") == b"again"


def test_a_black_hole_swallows_and_resets_what_fell_into_it(
    proxy: TcpProxy, client: socket.socket
) -> None:
    with _connect(proxy) as silent:
        assert _says(silent, b"hello") == b"hello"
        proxy.black_hole(on=True)
        client.settimeout(_LONG_ENOUGH_FOR_AN_ECHO_SECONDS)
        client.sendall(b"lost")
        with pytest.raises(TimeoutError):
            client.recv(1)
        proxy.black_hole(on=False)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert _says(silent, b"still here") == b"still here"


def test_a_black_hole_takes_new_connections(proxy: TcpProxy) -> None:
    proxy.black_hole(on=True)
    with _connect(proxy) as client:
        client.sendall(b"lost")
        client.settimeout(_LONG_ENOUGH_FOR_AN_ECHO_SECONDS)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_new_connections_are_refused_while_old_ones_stay(
    proxy: TcpProxy, client: socket.socket
) -> None:
    proxy.refuse(on=True)
    with pytest.raises(ConnectionRefusedError):
        _connect(proxy)
    assert _says(client, b"still here") == b"still here"
    proxy.refuse(on=False)
    with _connect(proxy) as again:
        assert _says(again, b"again") == b"again"


def test_a_delay_counts_for_each_direction(proxy: TcpProxy, client: socket.socket) -> None:
    proxy.delay(0.1)
    before = time.monotonic()
    assert _says(client, b"slow") == b"slow"
    assert time.monotonic() - before >= 0.2


def test_a_target_that_is_down_looks_like_a_reset(proxy: TcpProxy) -> None:
    with TcpProxy(proxy.port) as outer:
        proxy.close()
        with pytest.raises(ConnectionResetError), _connect(outer) as client:
            client.recv(1)
