"""Which hosts need no encryption: what is sent to them never leaves this machine."""

from ipaddress import ip_address


def is_this_machine(host: str) -> bool:
    """Tell whether a name or address of a URL can mean nothing but this machine (RFC 6761 §6.3)."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        name = host.lower().rstrip(".")
        return name == "localhost" or name.endswith(".localhost")
