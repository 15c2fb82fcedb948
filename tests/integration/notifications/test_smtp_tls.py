"""Mail over TLS: which certificates are believed, and why one is not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from tests.servers.certificates import NAME, Authority
from tests.servers.ports import LOOPBACK
from tests.servers.smtp import SmtpSink
from workers.notifications.mail_server import MailServerUnavailableError, SmtpServer
from workers.notifications.smtp_connection import open_connection

Security = Literal["starttls", "tls"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody but its friends knows."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=["starttls", "tls"])
def security(request: pytest.FixtureRequest) -> Security:
    """Both ways to TLS."""
    return "tls" if request.param == "tls" else "starttls"


@pytest.fixture
def sink(authority: Authority, security: Security) -> Iterator[SmtpSink]:
    """A server with a certificate of that authority."""
    with SmtpSink(security=security, certificate=authority.certificate()) as sink:
        yield sink


def refusal(sink: SmtpSink, authorities: Path | None, *, host: str = NAME, query: str = "") -> str:
    """Return what whoever sends mail is told."""
    url = sink.url.replace(LOOPBACK, host) + f"?tls=required{query}"
    with pytest.raises(MailServerUnavailableError) as told:
        open_connection(SmtpServer.from_url(url, authorities=authorities))
    return str(told.value)


def test_a_private_authority_is_trusted_where_the_settings_name_it(
    sink: SmtpSink, authority: Authority
) -> None:
    url = sink.url.replace(LOOPBACK, NAME) + "?tls=required"
    open_connection(SmtpServer.from_url(url, authorities=authority.ca_file)).quit()


def test_without_it_nobody_is_trusted(sink: SmtpSink) -> None:
    text = refusal(sink, None)
    assert "has a certificate of an authority that is not trusted here; name a file" in text
    assert "KEYWRIGHT_CA_FILE" in text


def test_a_file_in_the_url_counts_alone(sink: SmtpSink, authority: Authority) -> None:
    text = refusal(sink, authority.ca_file, query=f"&ca_file={authority.other_ca_file}")
    assert "of an authority that is not trusted here" in text


def test_a_certificate_for_another_name_is_not_accepted(
    sink: SmtpSink, authority: Authority
) -> None:
    text = refusal(sink, authority.ca_file, host=LOOPBACK)
    assert "has a certificate for another host name; " in text
    assert "KEYWRIGHT_SMTP_URL" in text


def test_an_expired_certificate_is_not_accepted(authority: Authority, security: Security) -> None:
    with SmtpSink(security=security, certificate=authority.certificate("expired")) as sink:
        assert "has a certificate that has expired; " in refusal(sink, authority.ca_file)
