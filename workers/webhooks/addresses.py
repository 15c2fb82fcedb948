"""Which addresses a webhook may be sent to, so that nobody reaches our network through us. Pure.

A list of what is allowed, not of what is not: an address that nobody thought of is refused.
"""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import TypeAlias

from workers.errors import InvalidRequestError

Address: TypeAlias = IPv4Address | IPv6Address

_OWN_NETWORK = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("127.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv6Network("::1/128"),
    IPv6Network("fc00::/7"),
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291 §2.4: all that is given out
# Global by their number, and yet no host of its own (IANA special-purpose registries).
_NOT_A_HOST = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),  # 6to4 relays, RFC 7526
    IPv4Network("224.0.0.0/3"),  # multicast and reserved
    IPv6Network("2001::/23"),  # Teredo, ORCHID, benchmarks
    IPv6Network("2001:db8::/32"),
    IPv6Network("2002::/16"),  # 6to4: leads to the IPv4 address inside
    IPv6Network("3fff::/20"),  # documentation, RFC 9637
)
# What answers there hands out credentials of the machine or steers it, whoever owns the network.
_METADATA = frozenset(
    map(
        ip_address,
        ("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1: the IPv4 address is in the last 32 bits


class ForbiddenAddressError(InvalidRequestError):
    """A webhook would go to an address that it may not go to; the text does not name it."""

    code = "forbidden-address"
    title = "Webhooks may not go to this address"


def check_address(text: str, *, allow_private: bool) -> None:
    """Pass if a webhook may be sent to an address in text, such as ``93.184.216.34``.

    With ``allow_private``, the own network and this machine may be reached, too, but never
    link-local addresses or those where clouds keep credentials.

    Raises:
        ForbiddenAddressError: it may not, or this is no address, or one with a scope (RFC 4007).
    """
    try:
        address = _meant(ip_address(text))
    except ValueError:
        raise _forbidden("is not one of a host") from None
    if getattr(address, "scope_id", None) is not None:
        raise _forbidden("holds for one network interface only")
    if address in _METADATA or not (_is_public(address) or _is_of_own_network(address)):
        raise _forbidden("is not one that hosts of the internet have")
    if not (allow_private or _is_public(address)):
        raise _forbidden("is not public; an operator may allow that with --allow-private")


def _meant(address: Address) -> Address:
    """Return the IPv4 address that is reached through an IPv6 one, if any."""
    if isinstance(address, IPv4Address) or address.scope_id is not None:
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not any(address in network for network in _NOT_A_HOST)


def _is_of_own_network(address: Address) -> bool:
    return any(address in network for network in _OWN_NETWORK)


def _forbidden(reason: str) -> ForbiddenAddressError:
    return ForbiddenAddressError(f"url: the host has an address that {reason}.")
