"""Alternative names of a certificate to be made (RFC 5280 §4.2.1.6), each of them checked. Pure."""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from cryptography import x509

from workers.contract.certificates import AlternativeNames
from workers.errors import InvalidRequestError

_MOST_NAMES = 100
_LONGEST_HOST = 253
# RFC 1034 §3.5 as RFC 1123 §2.1 has it; the underscore of some service names is not for hosts.
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_MAILBOX = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LONGEST_MAILBOX = 64
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)


def checked(names: AlternativeNames) -> AlternativeNames:
    """Return the names as they are to stand in the certificate, each once.

    Hosts are in lower case, addresses in their shortest form.

    Raises:
        InvalidRequestError: one of them is none; the text names it.
    """
    given = AlternativeNames(
        dns=_each_once(_host(each) for each in names.dns),
        ip=_each_once(_address(each) for each in names.ip),
        email=_each_once(_mailbox(each) for each in names.email),
        uri=_each_once(_uri(each) for each in names.uri),
    )
    count = len(general_names(given))
    if count > _MOST_NAMES:
        raise InvalidRequestError(
            f"alternative_names: at most {_MOST_NAMES} names; these are {count}."
        )
    return given


def general_names(names: AlternativeNames) -> list[x509.GeneralName]:
    """Return checked names as an extension holds them."""
    return [
        *map(x509.DNSName, names.dns),
        *(x509.IPAddress(ip_address(each)) for each in names.ip),
        *map(x509.RFC822Name, names.email),
        *map(x509.UniformResourceIdentifier, names.uri),
    ]


def _each_once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _host(name: str) -> str:
    host = name.removeprefix("*.")
    reason = _why_no_host(host)
    if reason is None and host != name and "." not in host:
        reason = "a wildcard stands for one label of a domain, as in *.example.org"
    if reason is not None:
        raise _wrong("dns", name, reason)
    return name.lower()


def _why_no_host(host: str) -> str | None:
    labels = host.split(".")
    if not host.isascii():
        return "write an internationalized name in its ASCII form, xn--…"
    if "*" in host:
        return "a wildcard is the whole first label, as in *.example.org"
    if len(host) > _LONGEST_HOST or not all(map(_LABEL.fullmatch, labels)):
        return "it has labels of up to 63 letters, digits and hyphens, 253 in all, and no port"
    if labels[-1].isdecimal():
        return "an address belongs in ip"
    return None


def _address(name: str) -> str:
    try:
        address = ip_address(name)
    except ValueError:
        raise _wrong("ip", name, "it is one IPv4 or IPv6 address, no network") from None
    if getattr(address, "scope_id", None):
        raise _wrong("ip", name, "write it without the zone, which one machine alone knows")
    return str(address)


def _mailbox(name: str) -> str:
    local, at, host = name.rpartition("@")
    if (
        not at
        or len(local) > _LONGEST_MAILBOX
        or not _MAILBOX.fullmatch(local)
        or _why_no_host(host) is not None
    ):
        raise _wrong("email", name, "it is an address such as pki@example.org, in ASCII")
    return f"{local}@{host.lower()}"


def _uri(name: str) -> str:
    try:
        parts = urlsplit(name)
        has_place = bool(parts.netloc or parts.path)
        _ = parts.port
    except ValueError:
        has_place = False
        parts = None
    if (
        parts is None
        or not has_place
        or not name.isascii()
        or not name.isprintable()
        or any(each in name for each in ' <>"{}|\\^`')
        or not _SCHEME.fullmatch(parts.scheme)
        or (parts.netloc and not parts.hostname)
    ):
        raise _wrong("uri", name, "it is an absolute URI in ASCII, such as spiffe://example.org/x")
    return name


def _wrong(field: str, name: str, wanted: str) -> InvalidRequestError:
    shown = "".join(each if each.isprintable() else "\ufffd" for each in name[:100])
    return InvalidRequestError(f"alternative_names.{field}: “{shown}” is none: {wanted}.")
