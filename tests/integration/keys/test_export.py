"""Exporting master keys: which may leave, into which file, and that it is seen."""

import stat
from pathlib import Path

import pytest

from tests.integration.keys.custody import ACTOR, PASSPHRASE, Custody, by_passphrase
from tests.unit.keys.exports import NOW, certificate_of, private_key
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError
from workers.keys.export import Seal, certificate_seal, export_key, passphrase_seal
from workers.keys.export_file import ExportedKey, read_export
from workers.keys.export_sealing import open_with_private_key
from workers.keys.rsa_keys import read_recipient
from workers.keys.states import State, UnknownKeyError


@pytest.fixture
def custody(connection: Connection, tmp_path: Path) -> Custody:
    """An organization whose key 1 is archived and whose key 2 is active."""
    return Custody.of(connection, tmp_path)


def export(custody: Custody, path: Path, number: int = 1, seal: Seal | None = None) -> ExportedKey:
    return export_key(
        custody.connection,
        custody.root_keys,
        organization_id=custody.organization_id,
        number=number,
        seal=seal or passphrase_seal(PASSPHRASE),
        path=path,
        actor=ACTOR,
    )


def test_an_archived_key_is_exported_with_a_passphrase(custody: Custody, tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    about = export(custody, path)
    file = read_export(path.read_bytes())
    assert file.key == about
    assert (about.organization_id, about.key_number) == (custody.organization_id, 1)
    assert by_passphrase(file) == custody.cleartext(1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert custody.state(1) is State.ARCHIVED


def test_a_key_is_exported_to_a_certificate(custody: Custody, tmp_path: Path) -> None:
    recipient = read_recipient(certificate_of(private_key()), now=NOW)
    export(custody, tmp_path / "key.txt", seal=certificate_seal(recipient))
    file = read_export((tmp_path / "key.txt").read_bytes())
    assert open_with_private_key(file, private_key()) == custody.cleartext(1)


def test_two_exports_of_a_key_have_nothing_sealed_in_common(
    custody: Custody, tmp_path: Path
) -> None:
    files = []
    for name in ("one", "two"):
        export(custody, tmp_path / name)
        files.append(read_export((tmp_path / name).read_bytes()))
    assert files[0].sealed != files[1].sealed
    assert files[0].protection != files[1].protection


def test_every_export_is_announced_without_the_secret(custody: Custody, tmp_path: Path) -> None:
    about = export(custody, tmp_path / "key.txt")
    [announced] = custody.announcements("master_key.exported")
    assert announced["subject"] == f"master-key/{custody.organization_id}/1"
    assert announced["organization_id"] == custody.organization_id
    assert announced["data"] == {
        "number": 1,
        "actor": ACTOR,
        "protection": "passphrase",
        "check_value": about.check_value.hex(),
    }


@pytest.mark.parametrize(
    ("number", "moves", "says"),
    [
        (2, [], "is active, and only archived ones are exported; rotate first"),
        (1, [State.SUSPENDED], "is suspended"),
        (1, [State.DESTROYED], "was destroyed"),
    ],
)
def test_a_key_that_is_not_archived_stays(
    custody: Custody, tmp_path: Path, number: int, moves: list[State], says: str
) -> None:
    custody.move(number, *moves)
    with pytest.raises(ConflictError, match=says):
        export(custody, tmp_path / "key.txt", number)
    assert not (tmp_path / "key.txt").exists()
    assert custody.announcements("master_key.exported") == []


def test_a_compromised_key_can_still_be_kept(custody: Custody, tmp_path: Path) -> None:
    custody.move(1, State.COMPROMISED)
    export(custody, tmp_path / "key.txt")


def test_a_key_that_is_not_there_is_not_exported(custody: Custody, tmp_path: Path) -> None:
    with pytest.raises(UnknownKeyError, match="There is no master key 3"):
        export(custody, tmp_path / "key.txt", 3)


def test_a_file_that_is_there_is_not_overwritten(custody: Custody, tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    path.write_text("dear")
    with pytest.raises(ConflictError, match="not overwritten"):
        export(custody, path)
    (tmp_path / "dangling").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConflictError, match="not overwritten"):
        export(custody, tmp_path / "dangling")
    assert path.read_text() == "dear"
    assert custody.announcements("master_key.exported") == []


def test_a_file_that_cannot_be_made_is_said_before_anything_happens(
    custody: Custody, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequestError, match="Cannot write"):
        export(custody, tmp_path / "nowhere" / "key.txt")
    assert custody.announcements("master_key.exported") == []


def test_what_fails_half_way_leaves_no_file(custody: Custody, tmp_path: Path) -> None:
    def fail(*_: object) -> str:
        raise InvalidRequestError("the seal broke")

    before = set(tmp_path.iterdir())
    with pytest.raises(InvalidRequestError, match="the seal broke"):
        export(custody, tmp_path / "key.txt", seal=Seal(protection="none", apply=fail))
    assert set(tmp_path.iterdir()) == before


def test_a_passphrase_that_is_too_short_never_gets_that_far() -> None:
    with pytest.raises(InvalidRequestError, match="at least 12 characters"):
        passphrase_seal("short")
    assert PASSPHRASE not in repr(passphrase_seal(PASSPHRASE))
