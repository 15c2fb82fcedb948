"""Which addresses a client is configured for."""

import pytest

from workers.certificates.api_clients.addresses import check_url
from workers.errors import InvalidRequestError


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.org",
        "https://api.example.org:8443/services/v1",
        "https://127.0.0.1:8443/?a=b&c='d'",
        "https://[2001:db8::1]:8443/",
        "https://a_b.example/it's/$(x);y,z:@!*+=~-._%22",
    ],
)
def test_an_https_address_is_taken_as_it_is(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://api.example.org/",
        "HTTPS//api.example.org",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user:secret@api.example.org/",
        "https://api.example.org:0/",
        "https://api.example.org:65536/",
        "https://api.example.org:٣/",
        "https://[::1/",
        "https://[1:2]/",
        "https://api.example.org/#fragment",
        "https://api.example.org/a b",
        'https://api.example.org/"; rm -rf /; "',
        "https://api.example.org/\\u0022",
        "https://api.example.org/`id`",
        "https://api.example.org/{a,b}",
        "https://api.example.org/[1-9]",
        "https://api.example.org/<x>",
        "https://api.example.org/%zz",
        "https://api.example.org/\nHost: other",
        "https://api.example.org/é",
        "https://-api.example.org/",
        "https://api.example.org/" + "a" * 2048,
    ],
)
def test_anything_else_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidRequestError, match="--url") as refused:
        check_url(url)
    assert "secret" not in str(refused.value)
