"""Looking up a root key among those that a process knows."""

from pathlib import Path

import pytest

from tests.servers.ports import LOOPBACK, free_port
from workers.keys.root_keys import RootKeys, RootKeyUnavailableError, open_root_keys


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> str:
    """An alias in a KMS where nobody answers."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return f"aws-kms:alias/k?region=eu-central-1&endpoint=http://{LOOPBACK}:{free_port()}"


def file_keys(folder: Path) -> RootKeys:
    """Return two root keys in files."""
    for name in ("one.key", "two.key"):
        assert open_root_keys(f"file:{folder / name}", create=True).current.identifier
    return open_root_keys(f"file:{folder / 'one.key'}", f"file:{folder / 'two.key'}")


def test_root_keys_are_found_by_their_identifiers(tmp_path: Path) -> None:
    root_keys = file_keys(tmp_path)
    for each in (root_keys.current, *root_keys.former):
        assert root_keys.get(each.identifier) is each


def test_an_unknown_identifier_finds_nothing(tmp_path: Path) -> None:
    assert file_keys(tmp_path).get("file:0123456789abcdef") is None


def test_one_that_is_away_does_not_hide_the_others(tmp_path: Path, away: str) -> None:
    former = file_keys(tmp_path).current
    root_keys = RootKeys(open_root_keys(away).current, [former])
    assert root_keys.get(former.identifier) is former


def test_what_only_one_that_is_away_could_be_is_not_called_unknown(
    tmp_path: Path, away: str
) -> None:
    root_keys = RootKeys(open_root_keys(away).current, [file_keys(tmp_path).current])
    with pytest.raises(RootKeyUnavailableError, match="cannot be reached"):
        root_keys.get("aws-kms:arn:aws:kms:eu-central-1:123456789012:key/1")
