"""What an entity id and a URL of ours may look like."""

import pytest

from workers.certificates.saml.addresses import check_assertion_consumer_url, check_entity_id
from workers.errors import InvalidRequestError


@pytest.mark.parametrize(
    "entity_id",
    [
        "https://acme.example",
        "HTTPS://acme.example:8443/saml?tenant=1&b='2'",
        "urn:acme:saml:sp",
        "https://[2001:db8::1]/saml",
        "https://xn--mller-kva.example/" + "x" * 900,
    ],
)
def test_https_urls_and_urns_name_an_entity(entity_id: str) -> None:
    assert check_entity_id(entity_id) == entity_id


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "acme",
        "http://acme.example",
        "https://",
        "https://user@acme.example",
        "https://acme.example/#part",
        "https://acme.example:99999/",
        "https://acme.example:0/",
        "https://[acme]/",
        "https://acme.example/\n",
        "https://acme.example/\x00",
        "https://acme.example/ x",
        'https://acme.example/"><script>',
        "https://müller.example/",
        "javascript:alert(1)",
        "https://acme.example/" + "x" * 3000,
    ],
)
def test_nothing_else_is_an_address_of_ours(wrong: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^entity_id: .*\.$"):
        check_entity_id(wrong)
    with pytest.raises(InvalidRequestError, match=r"^assertion_consumer_url: .*\.$"):
        check_assertion_consumer_url(wrong)


def test_assertions_are_not_sent_to_a_urn() -> None:
    with pytest.raises(InvalidRequestError, match="begins with https://"):
        check_assertion_consumer_url("urn:acme:acs")
