"""KEYWRIGHT_CA_FILE: checked once, and handed to whatever connects."""

from pathlib import Path

import pytest
import trustme
from psycopg.conninfo import conninfo_to_dict

from workers.errors import InvalidRequestError
from workers.jobs.broker_url import BrokerUrl
from workers.settings import load_settings

FAR = {
    "KEYWRIGHT_DATABASE_URL": "postgresql://u:hush@db.example.org/d",
    "KEYWRIGHT_CONNECTION_SHOP": "postgresql://u:hush@shop.example.org/d",
    "KEYWRIGHT_BROKER_URL": "amqps://u:hush@mq.example.org/v",
}


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    """A file with one authority."""
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return path


def test_broker_and_databases_are_verified_against_it(ca_file: Path) -> None:
    settings = load_settings(FAR | {"KEYWRIGHT_CA_FILE": str(ca_file)})
    assert settings.ca_file == ca_file
    assert settings.database_url is not None
    assert settings.broker_url is not None
    for url in (settings.database_url, settings.connections["shop"]):
        said = conninfo_to_dict(url.get_secret_value())
        assert (said["sslmode"], said["sslrootcert"]) == ("verify-full", str(ca_file))
    assert BrokerUrl.from_url(settings.broker_url.get_secret_value()).ca_file == str(ca_file)


def test_a_relative_path_means_the_same_after_a_change_of_folder(
    ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ca_file.parent)
    settings = load_settings(FAR | {"KEYWRIGHT_CA_FILE": "ca.pem"})
    assert settings.broker_url is not None
    assert BrokerUrl.from_url(settings.broker_url.get_secret_value()).ca_file == str(ca_file)


def test_without_it_they_are_verified_all_the_same() -> None:
    settings = load_settings(FAR)
    assert settings.database_url is not None
    said = conninfo_to_dict(settings.database_url.get_secret_value())
    assert said["sslmode"] == "verify-full"
    assert Path(str(said["sslrootcert"])).is_file()


def test_urls_stay_secret(ca_file: Path) -> None:
    settings = load_settings(FAR | {"KEYWRIGHT_CA_FILE": str(ca_file)})
    assert "hush" not in repr(settings) + settings.model_dump_json()


@pytest.mark.parametrize("content", [None, "", "nothing\n"])
def test_a_file_that_is_none_is_refused_in_a_sentence(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidRequestError) as refused:
        load_settings({"KEYWRIGHT_CA_FILE": str(path)})
    assert str(refused.value).startswith("KEYWRIGHT_CA_FILE: ")
    assert str(refused.value).count(".") == 1


def test_a_broker_that_would_not_be_encrypted_is_refused_without_its_password() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        load_settings({"KEYWRIGHT_BROKER_URL": "amqp://u:hush@mq.example.org/v"})
    assert str(refused.value).startswith("KEYWRIGHT_BROKER_URL: amqp:// to another machine")
    assert "hush" not in str(refused.value)
