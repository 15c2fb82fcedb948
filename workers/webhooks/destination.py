"""The URL of a webhook, read once and strictly: what it says to us, it says to everybody. Pure."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NoReturn, Self
from urllib.parse import urlsplit

from workers.errors import InvalidRequestError
from workers.webhooks.addresses import check_address

_LONGEST = 2048
_PRINTABLE = re.compile(r"[!-~]+")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# What resolvers take for an address, too: 2130706433, 0177.0.0.1, 0x7f.1.
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_DEFAULT_PORTS = {"https": 443, "http": 80}
_FIRST_FREE_PORT = 1024  # those below are for other services (RFC 6335 §6)


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where a webhook goes: ``target`` is path and query, the ``host`` a name or an address."""

    is_encrypted: bool
    host: str
    port: int
    target: str
    allow_private: bool

    @classmethod
    def from_url(cls, url: str, *, allow_private: bool) -> Self:
        """Read the URL of an endpoint.

        It is ``https``; with ``allow_private`` it may be ``http``, and the host an address of the
        own network. A name is checked once more when it is known what it leads to.

        Raises:
            InvalidRequestError: it will not do; the text says why and does not repeat it.
        """
        if len(url) > _LONGEST or not _PRINTABLE.fullmatch(url) or "\\" in url:
            _refuse(
                f"at most {_LONGEST} printable ASCII characters, without blanks and backslashes;"
                " a name in other letters is written as xn--…"
            )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            _refuse("this is not a URL")
        if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
            _refuse("it must begin with https://; --allow-private allows http://, too")
        if "@" in parts.netloc:
            _refuse("leave user and password out; receivers check the signature instead")
        if "#" in url:
            _refuse("leave the part after # out, it is never sent")
        host = _host(parts.hostname or "", allow_private=allow_private)
        if port is None:
            port = _DEFAULT_PORTS[parts.scheme]
        if port == 0:
            _refuse("the port must be a number from 1 to 65535")
        if not allow_private and port != _DEFAULT_PORTS["https"] and port < _FIRST_FREE_PORT:
            _refuse("the port must be 443, or 1024 and above; the others are for other services")
        return cls(
            is_encrypted=parts.scheme == "https",
            host=host,
            port=port,
            target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            allow_private=allow_private,
        )

    @property
    def origin(self) -> str:
        """Scheme, host and port: what may be shown, where path and query may hold a secret."""
        return f"{'https' if self.is_encrypted else 'http'}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host and, unless it is the usual one, port, as in the header Host (RFC 9110 §7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = _DEFAULT_PORTS["https" if self.is_encrypted else "http"]
        return host if self.port == usual else f"{host}:{self.port}"


def _host(host: str, *, allow_private: bool) -> str:
    address = _address(host)
    if address is not None:
        check_address(host, allow_private=allow_private)
        return str(address)
    if not _NAME.fullmatch(host) or _NUMBER.fullmatch(host.rpartition(".")[2]):
        _refuse("the host must be a name, or an address such as 192.0.2.1 or [2001:db8::1]")
    return host


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _refuse(reason: str) -> NoReturn:
    raise InvalidRequestError(f"url: {reason}.") from None
