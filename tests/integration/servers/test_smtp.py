"""The mail server, as Python's own SMTP client sees it."""

import os
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage

import pytest

from tests.servers.ports import LOOPBACK, listening_sockets
from tests.servers.smtp import Security, SmtpSink


def _mail(subject: str = "Expiry") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "keywright@example.org"
    mail["To"] = "ann@example.org"
    mail["Subject"] = subject
    mail.set_content("Grüße")
    return mail


@contextmanager
def _client(sink: SmtpSink) -> Iterator[smtplib.SMTP]:
    client = smtplib.SMTP(LOOPBACK, sink.port, timeout=10)
    try:
        yield client
    finally:
        client.close()


def _send(sink: SmtpSink, *recipients: str) -> dict[str, tuple[int, bytes]]:
    with _client(sink) as client:
        return client.send_message(_mail(), to_addrs=recipients or ["ann@example.org"])


def test_a_message_is_kept_as_it_came(smtp_sink: SmtpSink) -> None:
    _send(smtp_sink, "ann@example.org", "bob@example.org")
    (received,) = smtp_sink.wait_for(1)
    assert received.sender == "keywright@example.org"
    assert received.recipients == ("ann@example.org", "bob@example.org")
    assert received.message["Subject"] == "Expiry"
    assert received.message.get_content() == "Grüße\r\n"
    assert received.raw.startswith(b"From: keywright@example.org\r\n")


def test_waiting_for_more_mail_than_comes_times_out(smtp_sink: SmtpSink) -> None:
    _send(smtp_sink)
    with pytest.raises(TimeoutError, match="1 of 2 messages"):
        smtp_sink.wait_for(2, timeout=0.1)


def test_connections_are_counted(smtp_sink: SmtpSink) -> None:
    assert smtp_sink.connections == 0
    _send(smtp_sink)
    _send(smtp_sink)
    assert smtp_sink.connections == 2


def test_one_refused_recipient_does_not_stop_the_others(smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse("ann@example.org", "550 5.1.1 Gone")
    assert _send(smtp_sink, "ann@example.org", "bob@example.org") == {
        "ann@example.org": (550, b"5.1.1 Gone")
    }
    assert smtp_sink.messages[0].recipients == ("bob@example.org",)


def test_a_deferred_recipient_is_taken_after_so_many_tries(smtp_sink: SmtpSink) -> None:
    smtp_sink.defer("ann@example.org", "451 4.7.1 Later", times=2)
    for _ in range(2):
        with pytest.raises(smtplib.SMTPRecipientsRefused, match=r"4\.7\.1 Later"):
            _send(smtp_sink)
    assert _send(smtp_sink) == {}
    assert len(smtp_sink.messages) == 1


def test_a_connection_dropped_after_data_has_delivered(smtp_sink: SmtpSink) -> None:
    smtp_sink.hang_up_after_data(times=1)
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
        _send(smtp_sink)
    assert len(smtp_sink.wait_for(1)) == 1
    assert _send(smtp_sink) == {}
    assert len(smtp_sink.messages) == 2


def test_a_server_that_was_down_is_back_on_its_port(smtp_sink: SmtpSink) -> None:
    with _client(smtp_sink) as open_when_it_went_down:
        smtp_sink.down()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            open_when_it_went_down.noop()
    with pytest.raises(ConnectionRefusedError):
        _send(smtp_sink)
    smtp_sink.up()
    assert _send(smtp_sink) == {}


def test_mail_is_taken_only_after_the_right_password() -> None:
    with SmtpSink(credentials=("keywright", "p@ss/word")) as sink:
        assert sink.url == f"smtp://keywright:p%40ss%2Fword@127.0.0.1:{sink.port}"
        with pytest.raises(smtplib.SMTPSenderRefused, match="Authentication required"):
            _send(sink)
        with _client(sink) as client, pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("keywright", "wrong")
        with _client(sink) as client:
            client.login("keywright", "p@ss/word")
            assert client.send_message(_mail()) == {}
        assert len(sink.messages) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_is_encrypted_under_a_certificate_that_verifies(security: Security) -> None:
    with SmtpSink(credentials=("keywright", "secret"), security=security) as sink:
        trust = ssl.create_default_context(cafile=sink.ca_pem_path)
        if security == "tls":
            assert sink.url.startswith("smtps://")
            client: smtplib.SMTP = smtplib.SMTP_SSL(LOOPBACK, sink.port, timeout=10, context=trust)
        else:
            client = smtplib.SMTP(LOOPBACK, sink.port, timeout=10)
            with pytest.raises(smtplib.SMTPSenderRefused, match="STARTTLS"):
                client.sendmail("a@example.org", ["b@example.org"], b"clear")
            client.starttls(context=trust)
        with client:
            client.login("keywright", "secret")
            assert client.send_message(_mail()) == {}
        assert len(sink.messages) == 1
        assert sink.connections == 1


def test_a_client_that_trusts_others_refuses_the_certificate() -> None:
    with (
        SmtpSink(security="starttls") as sink,
        _client(sink) as client,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        client.starttls(context=ssl.create_default_context())


def test_it_listens_on_loopback_only(smtp_sink: SmtpSink) -> None:
    assert (LOOPBACK, smtp_sink.port) in listening_sockets(os.getpid())
    assert {address for address, _ in listening_sockets(os.getpid())} == {LOOPBACK}
