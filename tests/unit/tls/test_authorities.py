"""Which authorities are trusted, and which files are none."""

import ssl
from pathlib import Path

import certifi
import pytest
import trustme

from workers.tls import check_ca_file, client_context, system_ca_file


def authority(folder: Path) -> Path:
    """Write the certificate of a new authority."""
    path = folder / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return path


def test_chain_and_name_are_always_verified_with_a_tls_of_today() -> None:
    context = client_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_only_the_named_authority_is_trusted(tmp_path: Path) -> None:
    assert client_context(authority(tmp_path)).cert_store_stats()["x509_ca"] == 1


def test_it_may_be_trusted_besides_those_of_the_system(tmp_path: Path) -> None:
    alone = client_context().cert_store_stats()["x509_ca"]
    both = client_context(authority(tmp_path), besides_the_system=True)
    assert both.cert_store_stats()["x509_ca"] == alone + 1


def test_the_authorities_of_the_system_stand_in_a_file() -> None:
    assert client_context(system_ca_file()).cert_store_stats()["x509_ca"] > 0


def test_a_system_without_any_gets_the_public_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.tls.authorities._BUNDLES", ())
    nowhere = ssl.get_default_verify_paths()._replace(cafile="")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    assert system_ca_file() == certifi.where()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "cannot be read", id="missing"),
        pytest.param(b"", "must be a PEM file with at least one certificate", id="empty"),
        pytest.param(b"nothing\n", "must be a PEM file with at least", id="something else"),
        pytest.param(
            b"-----BEGIN CERTIFICATE-----\nbm90\n-----END CERTIFICATE-----\n",
            "must be a PEM file with at least",
            id="broken",
        ),
    ],
)
def test_a_file_that_is_no_authority_is_refused_with_the_reason(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        check_ca_file(path)
    with pytest.raises(ValueError, match=f"^ca_file {reason}"):
        client_context(path)


def test_a_private_key_alone_is_no_authority(tmp_path: Path) -> None:
    path = tmp_path / "ca.key"
    trustme.CA().private_key_pem.write_to_path(str(path))
    with pytest.raises(ValueError, match="at least one certificate"):
        check_ca_file(path)


def test_a_certificate_of_ours_needs_its_own_key(tmp_path: Path) -> None:
    mine, other = (trustme.CA().issue_cert("client.test") for _ in range(2))
    chain, key, wrong = (tmp_path / name for name in ("chain", "key", "wrong"))
    mine.cert_chain_pems[0].write_to_path(str(chain))
    mine.private_key_pem.write_to_path(str(key))
    other.private_key_pem.write_to_path(str(wrong))
    client_context(cert_file=chain, key_file=key)
    for bad in (wrong, tmp_path / "missing"):
        with pytest.raises(ValueError, match=r"^cert_file and key_file must be PEM files"):
            client_context(cert_file=chain, key_file=bad)
