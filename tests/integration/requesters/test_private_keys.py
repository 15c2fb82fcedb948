"""Private keys that are sent where certificates are asked for: refused before they are stored."""

import base64

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.integration.certificates.keystore_jobs.office import issue
from tests.integration.requesters.crm import Crm
from tests.unit.contract.test_public_text import KEYS
from workers.contract.public_text import check_no_private_key

REFUSED = ("22023", "arguments: there is a private key in it; send the certificates alone")


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM], ids=["der", "pem"])
@pytest.mark.parametrize(
    "form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["pkcs8", "traditional"]
)
def test_a_private_key_is_not_even_stored(
    crm: Crm, kind: str, encoding: Encoding, form: PrivateFormat
) -> None:
    if kind == "ed25519":
        form = PrivateFormat.PKCS8  # it has no other
    data = KEYS[kind].private_bytes(encoding, form, NoEncryption())
    text = data.decode() if encoding is Encoding.PEM else base64.b64encode(data).decode()
    folded = "\r\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    for sent in (text, f"\n \f {text}", text if encoding is Encoding.PEM else folded):
        arguments = {"unique_name": "Web", "chain": sent}
        assert crm.refusal("certificate.upload", arguments) == REFUSED
        assert crm.refusal("mutual_tls.upload", {"pem": sent}) == REFUSED
    assert crm.jobs() == 0


def test_certificates_pass(crm: Crm) -> None:
    text = base64.b64encode(issue("web").chain[0]).decode()
    crm.ask("certificate.upload", {"unique_name": "Web", "chain": text})
    crm.ask("certificate.upload", {"unique_name": "Web", "chain": "MIIB"})
    assert crm.jobs() == 2


@pytest.mark.parametrize(
    "text",
    ["", "x", "MIIB", "not base64!", "MAAA", "MAIBAAAAAAAAAAAA", "MH8CAQAAAAAAAAAA", "A" * 500],
    ids=repr,
)
def test_odd_texts_are_judged_as_the_contract_does(crm: Crm, text: str) -> None:
    try:
        check_no_private_key(text)
        expected = False
    except ValueError:
        expected = True
    assert crm.one("SELECT keywright.holds_private_key(%s)", text) is expected
