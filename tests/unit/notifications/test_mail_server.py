"""KEYWRIGHT_SMTP_URL: what it may say, and how it is refused."""

import ssl
from pathlib import Path

import pytest
import trustme

from workers.errors import InvalidRequestError
from workers.notifications.mail_server import Encryption, SmtpServer


@pytest.mark.parametrize(
    ("url", "host", "port", "encryption"),
    [
        ("smtp://mail.example.org", "mail.example.org", 25, "required"),
        ("smtp://u:p@mail.example.org", "mail.example.org", 587, "required"),
        ("smtps://mail.example.org", "mail.example.org", 465, "implicit"),
        ("smtps://mail.example.org:4650/?tls=required", "mail.example.org", 4650, "implicit"),
        ("smtp://mail.example.org?tls=opportunistic", "mail.example.org", 25, "opportunistic"),
        ("smtp://mail.example.org?tls=none", "mail.example.org", 25, "none"),
        ("smtp://localhost:1025", "localhost", 1025, "none"),
        ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, "none"),
        ("smtp://[::1]:1025", "::1", 1025, "none"),
        ("smtp://127.0.0.1:1025?tls=required", "127.0.0.1", 1025, "required"),
        ("smtp://localhost.example.org", "localhost.example.org", 25, "required"),
        ("smtp://10.0.0.1", "10.0.0.1", 25, "required"),
    ],
)
def test_a_url_says_where_and_how_encrypted(
    url: str, host: str, port: int, encryption: Encryption
) -> None:
    server = SmtpServer.from_url(url)
    assert (server.host, server.port, server.encryption) == (host, port, encryption)
    assert (server.tls is None) == (encryption == "none")


def test_certificates_are_verified() -> None:
    context = SmtpServer.from_url("smtp://mail.example.org?tls=opportunistic").tls
    assert context is not None
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_only_the_given_authority_is_trusted(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(ca_file))
    context = SmtpServer.from_url(f"smtps://mail.example.org?ca_file={ca_file}").tls
    assert context is not None
    assert context.cert_store_stats()["x509_ca"] == 1


def test_user_and_password_are_decoded_and_the_password_is_not_shown() -> None:
    server = SmtpServer.from_url("smtp://ann%40example.org:s%2F%3Acret@mail.example.org?timeout=5")
    assert (server.user, server.password) == ("ann@example.org", "s/:cret")
    assert server.timeout_seconds == 5
    assert "cret" not in repr(server) + str(server)
    assert str(server) == "mail.example.org:587"


def test_an_ipv6_server_is_written_as_in_a_url() -> None:
    assert str(SmtpServer.from_url("smtp://[::1]:1025")) == "[::1]:1025"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mail.example.org", "must look like"),
        ("http://mail.example.org", "must begin with smtp:// or smtps://"),
        ("smtp://", "must look like"),
        ("smtp://mail.example.org/path", "must look like"),
        ("smtp://u:se#cret@mail.example.org", "percent-encode"),
        ("smtp://u:se/cret@mail.example.org", "percent-encode"),
        ("smtp://mail.example.org:se", "this is not a URL"),
        ("smtp://mail.example.org:99999", "this is not a URL"),
        ("smtp://[::1", "this is not a URL"),
        ("smtp://mail..example.org", "the name of the host"),
        ("smtp://user@mail.example.org", "a user needs a password"),
        ("smtp://:secret@mail.example.org", "a user needs a password"),
        ("smtp://u:s%C3%A4cret@mail.example.org", "printable ASCII"),
        ("smtp://u:se%0Acret@mail.example.org", "printable ASCII"),
        ("smtp://mail.example.org?tls=maybe", "tls must be required, opportunistic or none"),
        ("smtps://mail.example.org?tls=none", "smtps:// is always encrypted"),
        ("smtp://mail.example.org?tls=none&tls=required", "each at most once"),
        ("smtp://mail.example.org?verify=no", "the parameters are tls, ca_file, timeout"),
        ("smtp://mail.example.org?timeout=0", "timeout must be a number of seconds up to 300"),
        ("smtp://mail.example.org?timeout=nan", "timeout must be a number of seconds"),
        ("smtp://mail.example.org?timeout=soon", "timeout must be a number of seconds"),
        ("smtp://mail.example.org?ca_file=/nowhere/ca.pem", "ca_file must be a readable PEM"),
        ("smtp://mail.example.org?ca_file=", "ca_file must be a readable PEM"),
    ],
)
def test_a_wrong_url_is_refused_with_the_part_that_is_wrong(url: str, reason: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        SmtpServer.from_url(url)
    assert str(caught.value).startswith("KEYWRIGHT_SMTP_URL: ")
    assert reason in str(caught.value)
    assert "cret" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_file_without_a_certificate_is_no_authority(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing here\n")
    with pytest.raises(InvalidRequestError, match="ca_file must be a readable PEM file"):
        SmtpServer.from_url(f"smtp://mail.example.org?ca_file={empty}")
