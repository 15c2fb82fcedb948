"""Opening the connection: encryption, certificates and passwords, on real servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from tests.servers.smtp import SmtpSink
from workers.notifications.mail_server import MailServerUnavailableError, SmtpServer
from workers.notifications.message import Message
from workers.notifications.smtp import SmtpSession

ANN = "ann@example.org"
BOB = "bob@example.org"
MESSAGE = Message(sender="keywright@example.com", content=b"Subject: Hello\r\n\r\nend.\r\n")


@contextmanager
def session_with(url: str) -> Iterator[SmtpSession]:
    session = SmtpSession(SmtpServer.from_url(url))
    try:
        yield session
    finally:
        session.close()


def test_mail_goes_out_encrypted_and_logged_in() -> None:
    credentials = ("ann@example.com", "p/w: @#%")
    with (
        SmtpSink(credentials=credentials, security="starttls") as sink,
        session_with(f"{sink.url}?tls=required&ca_file={sink.ca_pem_path}") as session,
    ):
        assert session.send(MESSAGE, ANN).state == "accepted"
        assert session.send(MESSAGE, BOB).state == "accepted"
        assert sink.connections == 1


def test_tls_from_the_first_byte() -> None:
    with (
        SmtpSink(credentials=("user", "password"), security="tls") as sink,
        session_with(f"{sink.url}?ca_file={sink.ca_pem_path}") as session,
    ):
        assert session.send(MESSAGE, ANN).state == "accepted"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_of_an_unknown_authority_is_not_accepted(
    security: str, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with (
        SmtpSink(security="tls" if security == "tls" else "starttls") as sink,
        session_with(f"{sink.url}?tls=required&ca_file={other}") as session,
    ):
        with pytest.raises(MailServerUnavailableError, match="an authority that is not trusted"):
            session.send(MESSAGE, ANN)
        assert sink.messages == []


def test_encryption_is_not_given_up_because_a_server_has_none(smtp_sink: SmtpSink) -> None:
    with session_with(f"{smtp_sink.url}?tls=required") as session:
        with pytest.raises(MailServerUnavailableError, match="offers no STARTTLS; see tls="):
            session.send(MESSAGE, ANN)
        assert smtp_sink.messages == []


def test_opportunistic_encryption_makes_do_without(smtp_sink: SmtpSink) -> None:
    with session_with(f"{smtp_sink.url}?tls=opportunistic") as session:
        assert session.send(MESSAGE, ANN).state == "accepted"


def test_but_never_sends_a_password_in_clear() -> None:
    with (
        SmtpSink(credentials=("user", "hush")) as sink,
        session_with(f"{sink.url}?tls=opportunistic") as session,
        pytest.raises(MailServerUnavailableError, match="may not travel in clear") as caught,
    ):
        session.send(MESSAGE, ANN)
    assert "hush" not in str(caught.value)


def test_a_server_that_expects_tls_at_once_is_told_from_one_that_does_not(
    smtp_sink: SmtpSink,
) -> None:
    url = smtp_sink.url.replace("smtp:", "smtps:")
    with (
        session_with(url) as session,
        pytest.raises(MailServerUnavailableError, match="could not agree on TLS"),
    ):
        session.send(MESSAGE, ANN)


def test_a_wrong_password_says_which_variable_to_check() -> None:
    with SmtpSink(credentials=("user", "right")) as sink:
        server = replace(SmtpServer.from_url(sink.url), password="wrong-hush")
        with pytest.raises(MailServerUnavailableError) as caught:
            SmtpSession(server).send(MESSAGE, ANN)
    assert "refused user or password (535); check KEYWRIGHT_SMTP_URL" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_server_that_wants_a_password_says_so() -> None:
    with SmtpSink(credentials=("user", "right")) as sink:
        server = replace(SmtpServer.from_url(sink.url), user=None, password=None)
        with pytest.raises(MailServerUnavailableError, match="wants a user and password"):
            SmtpSession(server).send(MESSAGE, ANN)


def test_a_password_for_a_server_without_log_in_says_so(smtp_sink: SmtpSink) -> None:
    url = smtp_sink.url.replace("smtp://", "smtp://user:hush@")
    with (
        session_with(url) as session,
        pytest.raises(MailServerUnavailableError, match="offers no log-in that we know"),
    ):
        session.send(MESSAGE, ANN)
