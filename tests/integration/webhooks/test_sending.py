"""One message to real servers, kind ones and others."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from tests.servers.ports import LOOPBACK, free_port
from tests.servers.receiver import Receiver, Reply, receiver, rude_receiver
from workers.tls import client_context
from workers.webhooks.connecting import Resolve, look_up
from workers.webhooks.destination import Destination
from workers.webhooks.sending import Answer, send

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
NAME = "hooks.example.org"


def leads_to(*addresses: str) -> Resolve:
    """Return a resolver for which every name leads there."""

    def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolve


def post(
    url: str,
    *,
    private: bool = True,
    resolve: Resolve = look_up,
    tls: ssl.SSLContext | None = None,
    seconds: float = 10,
) -> Answer:
    """Send a message to a URL."""
    return send(
        Destination.from_url(url, allow_private=private),
        b'{"a":1}',
        {"Content-Type": "application/json", "webhook-id": "x"},
        tls=tls or client_context(),
        resolve=resolve,
        now=NOW,
        total_seconds=seconds,
    )


def test_a_message_gets_there_as_it_is(billing: Receiver) -> None:
    assert post(f"{billing.url}?a=%20b") == Answer(status=204)
    [received] = billing.received
    assert (received.path, received.body) == ("/in?a=%20b", b'{"a":1}')
    assert received.headers["host"] == f"127.0.0.1:{billing.port}"
    assert received.headers["webhook-id"] == "x"
    assert received.headers["user-agent"] == "keywright"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_acceptance(billing: Receiver, status: int) -> None:
    billing.answer = lambda _: Reply(status)
    assert post(billing.url) == Answer(status=status)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
def test_every_other_answer_is_none(billing: Receiver, status: int) -> None:
    billing.answer = lambda _: Reply(status, body=b"a secret of the receiver's")
    assert post(billing.url) == Answer(status=status, error=f"The endpoint answered {status}.")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(billing: Receiver, status: int) -> None:
    with receiver() as inner:
        billing.answer = lambda _: Reply(status, {"Location": inner.url})
        answer = post(billing.url)
        assert answer.status == status
        assert "redirects are not followed" in str(answer.error)
        assert inner.received == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("Fri, 27 Nov 2026 12:05:00 GMT", 300),
        ("soon", None),
        ("-5", None),
        ("9" * 400, 999_999_999),
        ("Fri, 99 Nov 99999999 12:05:00 GMT", None),
    ],
    ids=["seconds", "date", "word", "negative", "long", "no date"],
)
def test_when_to_come_back_is_read(billing: Receiver, text: str, seconds: float | None) -> None:
    billing.answer = lambda _: Reply(503, {"Retry-After": text})
    assert post(billing.url).retry_after_seconds == seconds


def test_the_environments_proxy_is_not_used(
    billing: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert post(billing.url).error is None
        assert proxy.received == []


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["93.184.216.34", "127.0.0.1"],
        ["127.0.0.1", "93.184.216.34"],
        ["::ffff:127.0.0.1"],
        ["169.254.169.254"],
        ["fe80::1%lo"],
    ],
    ids=["private", "IPv6", "public first", "private first", "mapped", "metadata", "scope"],
)
def test_a_name_that_leads_into_the_own_network_is_not_called(addresses: list[str]) -> None:
    with receiver() as inner:
        answer = post(f"https://{NAME}:{inner.port}/", private=False, resolve=leads_to(*addresses))
        assert answer.status is None
        assert "address" in str(answer.error)
        assert not any(address in str(answer.error) for address in addresses)
        assert inner.received == []


def test_a_name_that_leads_elsewhere_the_second_time_is_not_asked_a_second_time() -> None:
    with receiver() as checked, receiver(address="127.0.0.2", port=checked.port) as inner:
        answers: Iterator[str] = iter([checked.address, inner.address, inner.address])
        asked: list[str] = []

        def rebinding(host: str, _port: int) -> Sequence[str]:
            asked.append(host)
            return [next(answers)]

        assert post(f"http://{NAME}:{checked.port}/in", resolve=rebinding).error is None
        assert asked == [NAME]
        assert len(checked.received) == 1
        assert inner.received == []


@pytest.mark.parametrize("name", ["localhost", "localhost.localdomain", "ip6-localhost"])
def test_names_of_this_machine_are_not_called(name: str) -> None:
    with receiver() as inner:
        assert post(f"https://{name}:{inner.port}/", private=False).error is not None
        assert inner.received == []


def test_the_next_address_is_tried_where_one_refuses(billing: Receiver) -> None:
    resolve = leads_to("127.0.0.3", billing.address)
    assert post(f"http://{NAME}:{billing.port}/", resolve=resolve).error is None


def unknown(_host: str, _port: int) -> Sequence[str]:
    """Know no host."""
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize("resolve", [unknown, leads_to()], ids=["unknown", "no addresses"])
def test_a_name_that_leads_nowhere_is_said(resolve: Resolve) -> None:
    assert "leads nowhere" in str(post(f"https://{NAME}/", resolve=resolve).error)


def test_nobody_there_is_said() -> None:
    assert post(f"http://127.0.0.1:{free_port()}/").error == "The endpoint refuses connections."


@contextmanager
def over_tls(tmp_path: Path, name: str) -> Iterator[tuple[Receiver, ssl.SSLContext]]:
    """Run a receiver with a certificate for a name; yield it, and what trusts its authority."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    with receiver(tls=context) as found:
        yield found, client_context(file, besides_the_system=True)


def test_the_certificate_must_be_for_the_name_though_the_address_is_connected_to(
    tmp_path: Path,
) -> None:
    with over_tls(tmp_path, NAME) as (secure, tls):
        url = f"https://{NAME}:{secure.port}/in"
        assert post(url, resolve=leads_to(LOOPBACK), tls=tls).error is None
        assert secure.received[0].headers["host"] == f"{NAME}:{secure.port}"
        other = url.replace(NAME, "other.example.org")
        refused = post(other, resolve=leads_to(LOOPBACK), tls=tls)
        assert "for another host name" in str(refused.error)
        assert len(secure.received) == 1


def test_an_authority_that_is_not_trusted_is_refused(tmp_path: Path) -> None:
    with over_tls(tmp_path, NAME) as (secure, _):
        answer = post(f"https://{NAME}:{secure.port}/", resolve=leads_to(LOOPBACK))
        assert "KEYWRIGHT_CA_FILE" in str(answer.error)
        assert secure.received == []


def test_a_receiver_without_tls_is_refused(billing: Receiver) -> None:
    answer = post(f"https://127.0.0.1:{billing.port}/", seconds=5)
    assert "does not speak TLS" in str(answer.error)
    assert billing.received == []


def drip(connection: socket.socket) -> None:
    """Answer a byte now and then."""
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 4000:
        connection.send(bytes([byte]))
        time.sleep(0.05)


def stay_silent(connection: socket.socket) -> None:
    """Never answer."""
    while connection.recv(65536):
        pass


def drip_the_body(connection: socket.socket) -> None:
    """Accept, and then go on for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
    while True:
        connection.send(b"x")
        time.sleep(0.05)


def flood(connection: socket.socket) -> None:
    """Accept, with a body that has no end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def flood_of_headers(connection: socket.socket) -> None:
    """Never come to the end of the headers."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X: " + b"x" * 1000 + b"\r\n")


def go_on_continuing(connection: socket.socket) -> None:
    """Always ask for more."""
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def say_nonsense(connection: socket.socket) -> None:
    """Speak another protocol."""
    connection.sendall(b"220 mail.example.org ESMTP\r\n")


def hang_up(_connection: socket.socket) -> None:
    """Say nothing and go."""


@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (drip, "took longer than 1 seconds"),
        (stay_silent, "took longer than 1 seconds"),
        (flood_of_headers, "did not answer as HTTP has it"),
        (go_on_continuing, "did not answer as HTTP has it"),
        (say_nonsense, "did not answer as HTTP has it"),
        (hang_up, "did not answer as HTTP has it"),
    ],
    ids=["drips", "is silent", "floods headers", "continues", "talks nonsense", "hangs up"],
)
def test_a_receiver_that_does_not_answer_properly_holds_nobody_up(
    behave: Callable[[socket.socket], None], error: str
) -> None:
    with rude_receiver(behave) as port:
        answer = post(f"http://127.0.0.1:{port}/", seconds=1)
    assert answer.status is None
    assert error in str(answer.error)


@pytest.mark.parametrize("behave", [drip_the_body, flood], ids=["drips", "floods"])
def test_what_comes_after_the_status_does_not_count(
    behave: Callable[[socket.socket], None],
) -> None:
    with rude_receiver(behave) as port:
        assert post(f"http://127.0.0.1:{port}/", seconds=60) == Answer(status=200)
