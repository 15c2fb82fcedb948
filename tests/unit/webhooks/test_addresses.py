"""No form of an address of the own network passes for a public one."""

import socket
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.webhooks.addresses import ForbiddenAddressError, check_address

PUBLIC = [
    "93.184.216.34",
    "1.1.1.1",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "169.253.255.255",
    "223.255.255.254",
    "2606:4700:4700::1111",
    "2a00:1450:4001:82a::200e",
    "::ffff:93.184.216.34",
    "64:ff9b::93.184.216.34",
]
OF_THE_OWN_NETWORK = [
    "10.0.0.1",
    "10.255.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "100.127.255.254",
    "::1",
    "fc00::1",
    "fd12:3456:789a::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.1.2.3",
    "64:ff9b::7f00:1",
    "64:ff9b::192.168.1.1",
]
NOBODYS = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::a9fe:a9fe",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "::ffff:0.0.0.0",
    "fe80::1",
    "fe80::1%eth0",
    "fe80::a9fe:a9fe%1",
    "2606:4700::1%eth0",
    "::ffff:10.0.0.1%1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "fd00:ec2::254",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "100::1",
    "5f00::1",
    "4000::1",
]
NO_ADDRESSES = ["", "localhost", "127.1", "0x7f.0.0.1", "0177.0.0.1", "2130706433", "1.2.3.4.5"]


def allowed(address: str, *, private: bool) -> bool:
    """Return whether a webhook may go there."""
    try:
        check_address(address, allow_private=private)
    except ForbiddenAddressError:
        return False
    return True


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address: str) -> None:
    assert allowed(address, private=False)
    assert allowed(address, private=True)


@pytest.mark.parametrize("address", OF_THE_OWN_NETWORK)
def test_the_own_network_may_be_called_only_where_an_operator_says_so(address: str) -> None:
    assert not allowed(address, private=False)
    assert allowed(address, private=True)


@pytest.mark.parametrize("address", NOBODYS + NO_ADDRESSES)
def test_some_addresses_may_never_be_called(address: str) -> None:
    assert not allowed(address, private=False)
    assert not allowed(address, private=True)


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_is_judged_alike_in_all_its_ipv6_forms(number: int) -> None:
    address = IPv4Address(number)
    for private in (False, True):
        plainly = allowed(str(address), private=private)
        for form in (f"::ffff:{address}", str(IPv6Address(f"64:ff9b::{address}"))):
            assert allowed(form, private=private) == plainly


@given(st.binary(min_size=16, max_size=16))
def test_no_address_that_the_standard_library_calls_private_passes(packed: bytes) -> None:
    text = socket.inet_ntop(socket.AF_INET6, packed)
    if allowed(text, private=False):
        assert IPv6Address(text).is_global
