"""Certificates and private keys that people hand over: which ones are taken, which are not."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.unit.keys.exports import NOW, certificate_of, private_key
from workers.errors import InvalidRequestError
from workers.keys.rsa_keys import read_private_key, read_recipient

Pkcs8 = PrivateFormat.PKCS8


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_certificates_are_taken_in_pem_and_der(encoding: Encoding) -> None:
    certificate = certificate_of(private_key(), encoding=encoding)
    assert read_recipient(certificate, now=NOW).public_key == private_key().public_key()


@pytest.mark.parametrize(
    ("certificate", "says"),
    [
        (b"", "no X.509 certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no X.509 certificate"),
        (certificate_of(private_key())[:-100], "no X.509 certificate"),
        (certificate_of(ec.generate_private_key(ec.SECP256R1())), "not RSA"),
        (certificate_of(rsa.generate_private_key(65537, 2048)), "has 2048 bits"),
        (certificate_of(private_key(), until=NOW - timedelta(seconds=1)), "which is not now"),
        (certificate_of(private_key(), until=NOW + timedelta(days=800)), "which is not now"),
    ],
)
def test_a_certificate_to_which_no_key_should_go_is_refused(certificate: bytes, says: str) -> None:
    with pytest.raises(InvalidRequestError, match=says):
        read_recipient(certificate, now=NOW)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_private_keys_are_taken_in_pem_and_der_encrypted_or_not(encoding: Encoding) -> None:
    plain = private_key().private_bytes(encoding, Pkcs8, NoEncryption())
    encrypted = private_key().private_bytes(encoding, Pkcs8, BestAvailableEncryption(b"secret"))
    expected = private_key().private_numbers()
    assert read_private_key(plain).private_numbers() == expected
    assert read_private_key(encrypted, "secret").private_numbers() == expected


@pytest.mark.parametrize(
    ("encoded", "passphrase", "says"),
    [
        (b"", None, "none that can be read"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", None, "none that can"),
        (
            private_key().private_bytes(Encoding.PEM, Pkcs8, BestAvailableEncryption(b"secret")),
            None,
            "it is encrypted",
        ),
        (
            private_key().private_bytes(Encoding.PEM, Pkcs8, BestAvailableEncryption(b"secret")),
            "another",
            "its passphrase is wrong",
        ),
        (
            private_key().private_bytes(Encoding.PEM, Pkcs8, NoEncryption()),
            "needless",
            "it is not encrypted",
        ),
        (
            ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, Pkcs8, NoEncryption()),
            None,
            "not an RSA key",
        ),
    ],
)
def test_a_private_key_that_opens_nothing_is_refused(
    encoded: bytes, passphrase: str | None, says: str
) -> None:
    with pytest.raises(InvalidRequestError, match=says) as caught:
        read_private_key(encoded, passphrase)
    assert passphrase is None or passphrase not in str(caught.value)
