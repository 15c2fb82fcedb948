"""URLs of webhooks: what is accepted is what everybody reads in the same way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.errors import InvalidRequestError
from workers.webhooks.destination import Destination

REFUSED = {
    "http": "http://example.org/",
    "ftp": "ftp://example.org/",
    "file": "file:///etc/passwd",
    "gopher": "gopher://example.org:70/_x",
    "no scheme": "//example.org/",
    "no host": "https:///x",
    "only a scheme": "https:",
    "user": "https://user@example.org/",
    "password": "https://user:secret@example.org/",
    "user that looks like the host": "https://example.org@127.0.0.1/",
    "empty user": "https://@example.org/",
    "fragment": "https://example.org/#x",
    "empty fragment": "https://example.org/#",
    "backslash": "https://example.org\\@127.0.0.1/",
    "blank": "https://example.org/a b",
    "line break": "https://example.org/\r\nX-Injected: 1",
    "tab in the scheme": "ht\ttps://example.org/",
    "leading blank": " https://example.org/",
    "zero byte": "https://example.org/\0",
    "letters that fold to digits": "https://①②⑦.0.0.1/",
    "full-width dot": "https://127。0。0。1/",
    "unicode host": "https://bücher.example/",
    "unicode path": "https://example.org/ü",
    "low port": "https://example.org:22/",
    "http port": "https://example.org:80/",
    "port zero": "https://example.org:0/",
    "port too high": "https://example.org:65536/",
    "port no number": "https://example.org:x/",
    "localhost by address": "https://127.0.0.1/",
    "loopback": "https://[::1]/",
    "mapped": "https://[::ffff:127.0.0.1]/",
    "mapped in hexadecimal": "https://[::ffff:7f00:1]/",
    "metadata": "https://169.254.169.254/latest/meta-data/",
    "link-local with scope": "https://[fe80::1%25eth0]/",
    "scope": "https://[2606:4700::1%eth0]/",
    "decimal": "https://2130706433/",
    "hexadecimal": "https://0x7f000001/",
    "hexadecimal parts": "https://0x7f.0x0.0x0.0x1/",
    "octal": "https://0177.0.0.1/",
    "octal as one": "https://017700000001/",
    "short": "https://127.1/",
    "zero": "https://0/",
    "trailing dot": "https://127.0.0.1./",
    "name with trailing dot": "https://example.org./",
    "too many parts": "https://1.2.3.4.5/",
    "percent": "https://%31%32%37.0.0.1/",
    "empty label": "https://example..org/",
    "hyphen first": "https://-example.org/",
    "label too long": f"https://{'a' * 64}.org/",
    "unclosed bracket": "https://[::1/",
    "no address in brackets": "https://[example.org]/",
    "too long": "https://example.org/" + "a" * 2048,
    "empty": "",
}


@pytest.mark.parametrize("url", REFUSED.values(), ids=REFUSED)
def test_a_url_that_is_not_plain_and_public_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        Destination.from_url(url, allow_private=False)
    assert str(refused.value).startswith("url: ")
    assert not url or url not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "host", "port", "target", "authority"),
    [
        ("https://example.org", "example.org", 443, "/", "example.org"),
        ("HTTPS://Example.ORG/In?a=1&b=%20", "example.org", 443, "/In?a=1&b=%20", "example.org"),
        ("https://example.org:8443/in", "example.org", 8443, "/in", "example.org:8443"),
        ("https://example.org?a", "example.org", 443, "/?a", "example.org"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, "/", None),
        ("https://93.184.216.34/", "93.184.216.34", 443, "/", "93.184.216.34"),
        ("https://[2606:4700::1111]/", "2606:4700::1111", 443, "/", "[2606:4700::1111]"),
        ("https://[2606:4700::1111]:8443/", "2606:4700::1111", 8443, "/", None),
    ],
    ids=["short", "case and query", "port", "query", "punycode", "ipv4", "ipv6", "ipv6 and port"],
)
def test_a_public_url_is_read(
    url: str, host: str, port: int, target: str, authority: str | None
) -> None:
    found = Destination.from_url(url, allow_private=False)
    assert (found.is_encrypted, found.host, found.port, found.target) == (True, host, port, target)
    assert authority is None or found.authority == authority


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://127.0.0.1:9000/in?token=s", "http://127.0.0.1:9000"),
        ("http://my_service/in", "http://my_service"),
        ("http://10.0.0.1:80/", "http://10.0.0.1"),
        ("https://[fd00::1]:22/", "https://[fd00::1]:22"),
    ],
    ids=["loopback", "name", "usual port", "any port"],
)
def test_the_own_network_is_allowed_where_an_operator_says_so(url: str, origin: str) -> None:
    assert Destination.from_url(url, allow_private=True).origin == origin


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/", "http://[fd00:ec2::254]/", "http://0.0.0.0/", "http://2130706433/"],
    ids=["metadata", "metadata in IPv6", "unspecified", "decimal"],
)
def test_some_addresses_are_refused_also_then(url: str) -> None:
    with pytest.raises(InvalidRequestError):
        Destination.from_url(url, allow_private=True)


@given(st.text(max_size=60))
def test_nothing_else_than_a_refusal_comes_of_any_text(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.org{text}"):
        try:
            found = Destination.from_url(url, allow_private=True)
        except InvalidRequestError:
            continue
        assert not set("\r\n\t \0") & set(found.target + found.authority)
        assert found.target.startswith("/")
