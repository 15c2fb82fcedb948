"""What listeners say of the certificate that was presented to them."""

from base64 import b64encode
from hashlib import sha256
from urllib.parse import quote

import pytest

from tests.unit.certificates.signing.authority import LEAF, MIDDLE
from workers.certificates.mutual_tls.presented import read_header
from workers.errors import InvalidRequestError

HASH = sha256(LEAF.der).hexdigest()


@pytest.mark.parametrize(
    "header",
    [
        quote(LEAF.pem, safe=""),
        b64encode(LEAF.der).decode(),
        f"Hash={HASH}",
        f'By=spiffe://a;Hash={HASH};Cert="{quote(LEAF.pem, safe="")}"',
    ],
    ids=["nginx", "HAProxy", "Envoy", "Envoy with more"],
)
def test_the_header_of_each_listener_names_the_leaf(header: str) -> None:
    presented = read_header(header)
    assert presented is not None
    assert presented.fingerprint.hex() == HASH


def test_an_empty_header_is_no_certificate() -> None:
    assert read_header("") is None


@pytest.mark.parametrize(
    "header",
    [
        "-",
        "partner",
        "=" * 4,
        b64encode(b"no certificate").decode(),
        b64encode(LEAF.der[:-1]).decode(),
        quote(LEAF.pem + MIDDLE.pem, safe=""),
        "-----BEGIN CERTIFICATE-----",
        f"Hash={HASH},Hash={'0' * 64}",
        f"Hash={HASH};Hash={'0' * 64}",
        f"Hash={HASH[:-1]}",
        f"Hash={HASH.upper()}",
        "A" * 100_000,
    ],
    ids=range(12),
)
def test_anything_else_is_an_error_and_never_a_certificate(header: str) -> None:
    with pytest.raises(InvalidRequestError, match="cannot be read"):
        read_header(header)
