import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)

from tests.integration.certificates.keystore_jobs.office import issue
from workers.certificates.private_keys import PrivateKey
from workers.contract.public_text import check_no_private_key

KEYS: dict[str, PrivateKey] = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}


def refuse(text: str) -> None:
    with pytest.raises(ValueError, match="there is a private key in it") as refused:
        check_no_private_key(text)
    assert text[:40] not in str(refused.value)


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM], ids=["der", "pem"])
@pytest.mark.parametrize(
    "form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["pkcs8", "traditional"]
)
def test_a_private_key_is_refused(kind: str, encoding: Encoding, form: PrivateFormat) -> None:
    if kind == "ed25519":
        form = PrivateFormat.PKCS8  # it has no other
    data = KEYS[kind].private_bytes(encoding, form, NoEncryption())
    text = data.decode() if encoding is Encoding.PEM else base64.b64encode(data).decode()
    refuse(text)
    refuse(f"\n  {text}")
    refuse("\n".join(text[at : at + 64] for at in range(0, len(text), 64)))


def test_a_keystore_is_refused() -> None:
    issued = issue("web")
    assert isinstance(issued.key, ec.EllipticCurvePrivateKey)
    data = pkcs12.serialize_key_and_certificates(
        b"web", issued.key, None, None, BestAvailableEncryption(b"secret")
    )
    refuse(base64.b64encode(data).decode())


def test_certificates_and_public_keys_pass() -> None:
    for data in (
        issue("web").chain[0],
        KEYS["rsa"].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ):
        text = base64.b64encode(data).decode()
        assert check_no_private_key(text) == text


@pytest.mark.parametrize("text", ["", "x", "MIIB", "not base64!", "MAAA", "AAAAAAAAAAAAAAAA"])
def test_what_is_neither_passes_here(text: str) -> None:
    assert check_no_private_key(text) == text
