"""RabbitMQ over TLS: only the right authority, name and date will do, and each refusal says why."""

from collections.abc import Iterator

import dramatiq
import pytest

from tests.servers.certificates import Authority
from tests.servers.rabbitmq_tls import TlsRabbitmqNode
from workers.jobs.broker import LedgerRabbitmqBroker
from workers.jobs.broker_health import queue_depths
from workers.jobs.broker_url import with_authorities
from workers.jobs.publisher import BrokerUnavailableError, Publisher

EXPIRED = "has a certificate that has expired; "
UNKNOWN = "has a certificate of an authority that is not trusted here; "
OTHER_NAME = "has a certificate for another host name; "


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody but its friends knows."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def node(authority: Authority) -> Iterator[TlsRabbitmqNode]:
    """A node with a certificate of that authority."""
    with TlsRabbitmqNode(authority.ca_file, authority.certificate()) as node:
        yield node


def refusals(url: str) -> set[str]:
    """Return what those who publish and those who look are told."""
    told = set()
    with pytest.raises(BrokerUnavailableError) as looked:
        queue_depths(url)
    told.add(str(looked.value))
    publisher = Publisher(url)
    with pytest.raises(BrokerUnavailableError) as published:
        publisher.publish([])
    publisher.close()
    told.add(str(published.value))
    return told


def test_a_private_authority_is_trusted_where_the_settings_name_it(
    node: TlsRabbitmqNode, authority: Authority
) -> None:
    url = with_authorities(node.tls_url(), authority.ca_file)
    publisher = Publisher(url)
    assert publisher.publish([]) == set()
    publisher.close()
    assert {depth.waiting for depth in queue_depths(url)} == {0, None}


def test_without_it_nobody_is_trusted(node: TlsRabbitmqNode) -> None:
    [told] = refusals(node.tls_url())
    assert UNKNOWN in told
    assert "KEYWRIGHT_CA_FILE" in told
    assert node.home.password not in told


def test_another_authority_is_not_trusted(node: TlsRabbitmqNode, authority: Authority) -> None:
    [told] = refusals(node.tls_url(ca_file=str(authority.other_ca_file)))
    assert UNKNOWN in told


def test_a_certificate_for_another_name_is_not_accepted(
    node: TlsRabbitmqNode, authority: Authority
) -> None:
    [told] = refusals(node.tls_url(host="127.0.0.1", ca_file=str(authority.ca_file)))
    assert OTHER_NAME in told
    assert "KEYWRIGHT_BROKER_URL" in told


def test_an_expired_certificate_is_not_accepted(
    node: TlsRabbitmqNode, authority: Authority
) -> None:
    node.show(authority.ca_file, authority.certificate("expired"))
    try:
        [told] = refusals(node.tls_url(ca_file=str(authority.ca_file)))
    finally:
        node.show(authority.ca_file, authority.certificate())
    assert EXPIRED in told


def test_a_port_without_tls_is_told_from_a_certificate(node: TlsRabbitmqNode) -> None:
    [told] = refusals(node.url().replace("amqp://", "amqps://"))
    assert "does not speak TLS" in told


def test_a_broker_that_asks_for_a_certificate_is_shown_ours(
    node: TlsRabbitmqNode, authority: Authority
) -> None:
    chain, key = authority.certificate()
    node.show(authority.ca_file, (chain, key), ask=True)
    url = node.tls_url(ca_file=str(authority.ca_file))
    try:
        with pytest.raises(BrokerUnavailableError, match="add cert_file and key_file to"):
            queue_depths(url)
        assert queue_depths(f"{url}&cert_file={chain}&key_file={key}")
    finally:
        node.show(authority.ca_file, authority.certificate())


def test_a_worker_logs_why_and_goes_on_trying(node: TlsRabbitmqNode) -> None:
    broker = LedgerRabbitmqBroker(node.tls_url(), middleware=[])
    with pytest.raises(dramatiq.errors.ConnectionClosed) as told:
        broker.consume("notifications")
    broker.close()
    assert UNKNOWN in str(told.value)


def test_a_worker_consumes_over_tls(node: TlsRabbitmqNode, authority: Authority) -> None:
    broker = LedgerRabbitmqBroker(node.tls_url(ca_file=str(authority.ca_file)), middleware=[])
    broker.declare_queue("notifications", ensure=True)
    consumer = broker.consume("notifications", timeout=100)
    assert next(consumer) is None
    consumer.close()
    broker.close()
