"""A RabbitMQ node that takes encrypted connections, besides those that all nodes of tests take."""

from pathlib import Path
from urllib.parse import urlencode

from tests.servers.certificates import NAME
from tests.servers.ports import LOOPBACK, free_port
from tests.servers.rabbitmq import RabbitmqNode


class TlsRabbitmqNode(RabbitmqNode):
    """A node with the certificate in two PEM files; clients may show one of the same authority."""

    def __init__(self, ca_file: Path, certificate: tuple[Path, Path]) -> None:
        self.tls_port = free_port()
        super().__init__(
            {
                "ssl_listeners": f'[{{"{LOOPBACK}", {self.tls_port}}}]',
                "ssl_options": _options(ca_file, certificate),
            }
        )

    def show(self, ca_file: Path, certificate: tuple[Path, Path], *, ask: bool = False) -> None:
        """Show another certificate from now on; with ``ask``, only to clients that have one."""
        self.evaluate(
            f"ok = application:set_env(rabbit, ssl_options, {_options(ca_file, certificate, ask)}),"
            f' ok = rabbit_networking:stop_tcp_listener({{"{LOOPBACK}", {self.tls_port}}}),'
            " ok = ssl:clear_pem_cache(),"
            f' ok = rabbit_networking:start_ssl_listener({{"{LOOPBACK}", {self.tls_port}}},'
            " rabbit_networking:ensure_ssl(), 2)"
        )

    def tls_url(self, vhost: str = "/", *, host: str = NAME, **parameters: str) -> str:
        """Return the address of the encrypted listener."""
        plain = self.url(vhost, port=self.tls_port)
        url = plain.replace("amqp://", "amqps://").replace(f"@{LOOPBACK}", f"@{host}")
        return f"{url}?{urlencode(parameters)}" if parameters else url


def _options(ca_file: Path, certificate: tuple[Path, Path], ask: bool = False) -> str:
    chain, key = certificate
    verify = "verify_peer" if ask else "verify_none"
    return (
        f'[{{cacertfile,"{ca_file}"}},{{certfile,"{chain}"}},{{keyfile,"{key}"}},'
        f"{{verify,{verify}}},{{fail_if_no_peer_cert,{'true' if ask else 'false'}}},"
        "{versions,['tlsv1.3','tlsv1.2']}]"
    )
