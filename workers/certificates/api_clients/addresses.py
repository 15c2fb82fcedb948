"""The addresses that a client may be configured for. Pure."""

import re
from ipaddress import IPv6Address

from workers.errors import InvalidRequestError

_MOST_CHARACTERS = 2048
# RFC 3986 without a user, whose password would end up in a file, and without a fragment.
_URL = re.compile(
    r"""https://
    (?: [A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])? | \[ (?P<ipv6>[0-9A-Fa-f:.]{2,45}) \] )
    (?: : (?P<port>[0-9]{1,5}) )?
    (?: / (?: [A-Za-z0-9._~:@!$&'()*+,;=/-] | %[0-9A-Fa-f]{2} )* )?
    (?: \? (?: [A-Za-z0-9._~:@!$&'()*+,;=/?-] | %[0-9A-Fa-f]{2} )* )?
    """,
    re.VERBOSE | re.ASCII,
)


def check_url(url: str) -> str:
    """Return ``url`` if a client can call it: https, a host, and nothing that has to be escaped.

    Raises:
        InvalidRequestError: it is none; it is not repeated, since it may hold a password.
    """
    found = _URL.fullmatch(url) if len(url) <= _MOST_CHARACTERS else None
    if not found or int(found["port"] or 443) not in range(1, 65536) or not _is_host(found["ipv6"]):
        raise InvalidRequestError(
            "--url: an address such as https://api.example.org:8443/v1, at most"
            f" {_MOST_CHARACTERS} characters, without user and fragment; percent-encode what is no"
            " letter, digit or one of the signs that an address may have (RFC 3986)."
        )
    return url


def _is_host(ipv6: str | None) -> bool:
    try:
        return ipv6 is None or bool(IPv6Address(ipv6))
    except ValueError:
        return False
