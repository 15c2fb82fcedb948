"""KEYWRIGHT_BROKER_URL: encrypted and verified, unless it says that it need not be."""

from pathlib import Path

import pytest
import trustme

from workers.errors import InvalidRequestError
from workers.jobs.broker import connection_parameters
from workers.jobs.broker_url import BrokerUrl, with_authorities


@pytest.mark.parametrize(
    ("url", "host", "is_encrypted"),
    [
        ("amqps://u:p@mq.example.org/v", "mq.example.org", True),
        ("AMQPS://u:p@mq.example.org/v", "mq.example.org", True),
        ("amqps://u:p@localhost/v", "localhost", True),
        ("amqp://u:p@localhost/v", "localhost", False),
        ("amqp://u:p@127.0.0.1:5673/v", "127.0.0.1", False),
        ("amqp://u:p@[::1]/v", "::1", False),
        ("amqp:///v", "localhost", False),
        ("amqp://u:p@mq.example.org/v?tls=none", "mq.example.org", False),
    ],
)
def test_a_url_says_where_and_whether_encrypted(url: str, host: str, is_encrypted: bool) -> None:
    broker = BrokerUrl.from_url(url)
    assert (broker.host, broker.is_encrypted) == (host, is_encrypted)
    assert (broker.tls_context() is not None) == is_encrypted


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("amqp://u:secret@mq.example.org/v", "would send the password in the clear; use amqps://"),
        ("amqp://u:secret@10.0.0.1/v", "would send the password in the clear"),
        ("amqp://u:secret@localhost.example.org/v", "would send the password in the clear"),
        ("amqps://u:secret@h/v?tls=none", "amqps:// is always encrypted"),
        ("amqp://u:secret@h/v?tls=off", "tls can only be none"),
        ("amqp://u:secret@h/v?tls=none&tls=none", "tls is given twice"),
        ("amqps://u:secret@h/v?ssl_options={}", "ssl_options is not taken"),
        ("amqp://u:secret@h/v?tls=none&ca_file=/ca.pem", "are for amqps://"),
        ("amqps://u:secret@h/v?key_file=/key.pem", "key_file needs a cert_file"),
        ("amqps://u:secret@h/v?ca_file=", "may not be empty"),
        ("amqps://u:secret@[::1/v", "is not a URL"),
    ],
)
def test_a_url_that_is_not_safe_is_refused_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        BrokerUrl.from_url(url)
    assert str(caught.value).startswith("KEYWRIGHT_BROKER_URL: ")
    assert reason in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_cannot_be_used_is_named_when_it_is_needed() -> None:
    broker = BrokerUrl.from_url("amqps://h/v?ca_file=/nowhere/ca.pem")
    with pytest.raises(InvalidRequestError, match=r"^KEYWRIGHT_BROKER_URL: ca_file cannot be read"):
        broker.tls_context()


def test_the_authorities_of_the_settings_go_with_the_url(tmp_path: Path) -> None:
    path = tmp_path / "ca & b.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    for url in ("amqps://u:p%40@h/v", "amqps://u:p%40@h/v?channel_max=7"):
        broker = BrokerUrl.from_url(with_authorities(url, path))
        assert broker.ca_file == str(path)
        assert broker.address.startswith("amqps://u:p%40@h/v")
        context = broker.tls_context()
        assert context is not None
        assert context.cert_store_stats()["x509_ca"] == 1


def test_what_the_url_names_itself_stays(tmp_path: Path) -> None:
    for url in ("amqps://h/v?ca_file=/own.pem", "amqp://localhost/v", "amqp://h/v?tls=none"):
        assert with_authorities(url, tmp_path / "ca.pem") == url


def test_the_name_that_is_verified_is_the_one_in_the_url() -> None:
    parameters = connection_parameters("amqps://u:p@mq.example.org/v?channel_max=7")
    assert (parameters.port, parameters.channel_max) == (5671, 7)
    assert parameters.ssl_options is not None
    assert parameters.ssl_options.server_hostname == "mq.example.org"
    assert connection_parameters("amqp://u:p@h/v?tls=none").ssl_options is None


def test_a_parameter_that_pika_does_not_know_is_refused_without_its_value() -> None:
    with pytest.raises(InvalidRequestError, match=r"^KEYWRIGHT_BROKER_URL: ") as caught:
        connection_parameters("amqps://u:p@h/v?colour=secret")
    assert "secret" not in str(caught.value)


def test_the_address_has_no_repr() -> None:
    assert "secret" not in repr(BrokerUrl.from_url("amqps://u:secret@h/v"))
