"""How to reach RabbitMQ: the address in ``KEYWRIGHT_BROKER_URL``, read and checked once.

Knows no pika, so that the settings can be read quickly.
"""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from workers.errors import InvalidRequestError
from workers.tls import client_context, is_this_machine

VARIABLE = "KEYWRIGHT_BROKER_URL"

_FILES = ("ca_file", "cert_file", "key_file")
_OURS = ("tls", *_FILES)
_TOO_CLEVER = "ssl_options"  # pika's own way to turn verification off


@dataclass(frozen=True, kw_only=True)
class BrokerUrl:
    """A broker's address apart from how it is to be verified; ``address`` holds the password.

    ``address`` is what is left for pika to read. The files are paths of PEM files or None.
    """

    address: str = field(repr=False)
    host: str
    is_encrypted: bool
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read ``amqp[s]://user:password@host:port/vhost?tls=…&ca_file=…&cert_file=…&key_file=…``.

        ``amqps`` always verifies chain and host name: against ``ca_file``, or else what the system
        trusts. ``amqp`` to another machine is refused without ``tls=none``.

        Raises:
            InvalidRequestError: something is wrong with the URL; the text never holds the password.
        """
        try:
            parts = urlsplit(url)
        except ValueError:
            _refuse("is not a URL; percent-encode special signs in user and password")
        ours: dict[str, str] = {}
        others: list[tuple[str, str]] = []
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            if name == _TOO_CLEVER:
                _refuse(f"{name} is not taken; use {', '.join(_FILES)}")
            if name not in _OURS:
                others.append((name, value))
            elif name in ours:
                _refuse(f"{name} is given twice")
            else:
                ours[name] = value
        host = parts.hostname or "localhost"  # as pika reads it
        is_encrypted = parts.scheme.lower() == "amqps"
        _check(ours, host, is_encrypted=is_encrypted)
        return cls(
            address=urlunsplit(parts._replace(query=urlencode(others))),
            host=host,
            is_encrypted=is_encrypted,
            **{name: ours.get(name) for name in _FILES},
        )

    def tls_context(self) -> ssl.SSLContext | None:
        """Return what verifies this broker, or None where it is not encrypted.

        Raises:
            InvalidRequestError: one of the files cannot be used.
        """
        if not self.is_encrypted:
            return None
        try:
            return client_context(self.ca_file, cert_file=self.cert_file, key_file=self.key_file)
        except ValueError as error:
            _refuse(str(error))


def with_authorities(url: str, ca_file: Path | None) -> str:
    """Return the URL, checked, with the file of authorities that it does not name itself.

    Raises:
        InvalidRequestError: as ``BrokerUrl.from_url``.
    """
    broker = BrokerUrl.from_url(url)
    if ca_file is None or not broker.is_encrypted or broker.ca_file is not None:
        return url
    parts = urlsplit(url)
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=f"{query}ca_file={quote(str(ca_file.absolute()))}"))


def _check(ours: dict[str, str], host: str, *, is_encrypted: bool) -> None:
    tls = ours.get("tls")
    if tls not in (None, "none"):
        _refuse("tls can only be none; with amqps:// it is left out")
    if is_encrypted and tls is not None:
        _refuse("amqps:// is always encrypted; leave tls out")
    if not is_encrypted:
        if any(name in ours for name in _FILES):
            _refuse(f"{', '.join(_FILES)} are for amqps://")
        if tls is None and not is_this_machine(host):
            _refuse(
                "amqp:// to another machine would send the password in the clear; use amqps://, or"
                " say tls=none where nobody else is on the network between"
            )
    if "key_file" in ours and "cert_file" not in ours:
        _refuse("key_file needs a cert_file")
    if any(ours.get(name) == "" for name in _FILES):
        _refuse(f"{', '.join(_FILES)} may not be empty")


def _refuse(reason: str) -> NoReturn:
    raise InvalidRequestError(f"{VARIABLE}: {reason}.") from None
