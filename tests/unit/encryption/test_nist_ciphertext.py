"""AES-256-GCM as we call it, against the vectors of NIST's validation programme (CAVP)."""

from collections.abc import Iterator

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.encryption.ciphertext import TagMismatchError, open_sealed, parse, seal

OURS = {"Keylen": 256, "IVlen": 96, "Taglen": 128}


def nist_vectors(name: str) -> Iterator[dict[str, str]]:
    """Yield the vectors with our sizes of key, nonce and tag; ``FAIL`` marks the forged ones."""
    sizes: dict[str, int] = {}
    vector: dict[str, str] = {}
    with cryptography_vectors.open_vector_file(f"ciphers/AES/GCM/{name}", "r") as lines:
        for line in (*lines, ""):
            key, _, value = (part.strip() for part in line.strip("[] \n").partition("="))
            if line.startswith("["):
                sizes[key] = int(value)
            elif key:
                vector[key] = value
            elif vector:
                if OURS.items() <= sizes.items():
                    yield vector
                vector = {}


@pytest.mark.parametrize("name", ["gcmEncryptExtIV256.rsp", "gcmDecrypt256.rsp"])
def test_aes_gcm_agrees_with_nist(name: str) -> None:
    opened = forged = 0
    for vector in nist_vectors(name):
        fields = {key: bytes.fromhex(vector.get(key, "")) for key in ("Key", "IV", "AAD", "PT")}
        aead = AESGCM(fields["Key"])
        value = b"\x93\x01\x00\x00\x00\x01" + bytes.fromhex(
            vector["IV"] + vector["CT"] + vector["Tag"]
        )
        assert parse(value).key_number == 1
        if "FAIL" in vector:
            forged += 1
            with pytest.raises(TagMismatchError):
                open_sealed(aead, value, fields["AAD"])
            continue
        opened += 1
        assert open_sealed(aead, value, fields["AAD"]) == fields["PT"]
        sealed = seal(aead, fields["PT"], fields["AAD"], key_number=1, nonce=fields["IV"])
        assert sealed == value
    assert opened > 100
    assert (forged > 100) == name.startswith("gcmDecrypt")
