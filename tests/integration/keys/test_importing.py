"""A destroyed key comes back from its own export, and from nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.keys.custody import ACTOR, Custody, by_passphrase
from workers.database.pool import Connection
from workers.errors import ConflictError
from workers.keys.export_file import ExportFile, ExportFileError
from workers.keys.importing import ForeignExportError, Imported, import_key
from workers.keys.listing import key_history
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.file import FileRootKey
from workers.keys.states import State, UnknownKeyError


@pytest.fixture
def custody(connection: Connection, tmp_path: Path) -> Custody:
    """An organization whose key 1 is archived and whose key 2 is active."""
    return Custody.of(connection, tmp_path)


def bring_back(custody: Custody, file: ExportFile, number: int = 1) -> Imported:
    return import_key(
        custody.connection,
        custody.root_keys,
        organization_id=custody.organization_id,
        number=number,
        file=file,
        opener=by_passphrase,
        actor=ACTOR,
        reason="the auditor wants to read it",
    )


def quarantine(custody: Custody, *, key_number: int = 1, resolved: bool = False) -> None:
    """Put a value into quarantine because its key is gone, by a run that has ended."""
    custody.connection.execute(
        """
        WITH field AS (
            INSERT INTO keywright.encrypted_field
                   (field_name, table_schema, table_name, column_name, column_type, key_columns,
                    key_types, organization_id)
            VALUES ('field.n' || %(key_number)s, 'public', 'customer', 'card' || %(key_number)s,
                    'bytea', '{id}', '{bigint}', %(organization_id)s)
            RETURNING field_id
        ), run AS (
            INSERT INTO keywright.reencryption_run
                   (organization_id, purpose, field_ids, target_number, state, options,
                    requested_by, finished_at)
            SELECT %(organization_id)s, 'reencrypt', ARRAY[field_id], 2, 'completed', '{}', 'test',
                   now()
              FROM field
            RETURNING run_id
        )
        INSERT INTO keywright.quarantine
               (field_id, organization_id, row_key, class, key_number, value_hash, first_seen_at,
                first_run_id, last_seen_at, last_run_id, last_pass, resolved_at)
        SELECT field_id, %(organization_id)s, '{42}', 'destroyed_key', %(key_number)s,
               sha256('value'), now(), run_id, now(), run_id, 1,
               CASE WHEN %(resolved)s THEN now() END
          FROM field, run
        """,
        {
            "organization_id": custody.organization_id,
            "key_number": key_number,
            "resolved": resolved,
        },
    )


def jobs(custody: Custody) -> list[tuple[int, str, int]]:
    return custody.connection.execute(
        "SELECT job_id, kind, organization_id FROM keywright.job"
    ).fetchall()


def test_a_destroyed_key_comes_back_archived_and_opens_what_it_did(custody: Custody) -> None:
    before = custody.cleartext(1)
    file = custody.exported()
    custody.move(1, State.DESTROYED)
    assert bring_back(custody, file) == Imported(number=1, quarantined=0, retry_job_id=None)
    assert custody.state(1) is State.ARCHIVED
    assert custody.cleartext(1) == before
    last = key_history(custody.connection, custody.organization_id, 1)[-1]
    assert (last.from_state, last.to_state) == (State.DESTROYED, State.ARCHIVED)
    assert (last.actor, last.reason) == (ACTOR, "the auditor wants to read it")
    [announced] = custody.announcements("master_key.imported")
    assert announced["subject"] == f"master-key/{custody.organization_id}/1"
    assert announced["data"] == {"number": 1, "actor": ACTOR, "quarantined": 0}


def test_it_comes_back_under_the_root_key_in_use_now(custody: Custody, tmp_path: Path) -> None:
    file = custody.exported()
    custody.move(1, State.DESTROYED)
    other = RootKeys(FileRootKey(tmp_path / "other.key", create_if_missing=True))
    custody.root_keys = other
    bring_back(custody, file)
    custody.cleartext(1)


def test_it_can_be_destroyed_and_brought_back_again(custody: Custody) -> None:
    file = custody.exported()
    for _ in range(2):
        custody.move(1, State.DESTROYED)
        bring_back(custody, file)
    assert custody.state(1) is State.ARCHIVED


def test_an_export_of_another_organization_is_refused(custody: Custody) -> None:
    other = Custody.of(custody.connection, custody.folder, "Globex")
    file = other.exported()
    custody.move(1, State.DESTROYED)
    with pytest.raises(ForeignExportError, match="of another organization"):
        bring_back(custody, file)
    assert custody.state(1) is State.DESTROYED


def test_an_export_of_another_number_is_refused(custody: Custody) -> None:
    custody.rotate()
    file = custody.exported(2)
    custody.move(1, State.DESTROYED)
    custody.move(2, State.DESTROYED)
    with pytest.raises(ForeignExportError, match="of master key 2, not 1"):
        bring_back(custody, file)


def test_an_export_of_an_earlier_database_is_refused(custody: Custody) -> None:
    """Ids and numbers begin anew with every installation, secrets do not."""
    custody.rotate()
    key = custody.exported(1).key
    file = custody.exported(2)
    custody.move(1, State.DESTROYED)
    foreign = replace(file, key=replace(file.key, key_number=1))
    assert foreign.key.fingerprint != key.fingerprint
    with pytest.raises(ForeignExportError, match=f"with the check value {key.check_value.hex()}"):
        bring_back(custody, foreign)


def test_an_altered_file_is_refused(custody: Custody) -> None:
    custody.rotate()
    file, other = custody.exported(1), custody.exported(2)
    custody.move(1, State.DESTROYED)
    for altered in (
        replace(file, sealed=other.sealed),
        replace(file, sealed=file.sealed[:-1] + bytes([file.sealed[-1] ^ 1])),
        replace(file, key=replace(file.key, exported_at=file.key.created_at.replace(year=2000))),
        # The headers of the right key around the secret of another.
        replace(other, key=replace(file.key)),
    ):
        with pytest.raises(ExportFileError, match="altered"):
            bring_back(custody, altered)
    assert custody.state(1) is State.DESTROYED
    assert custody.announcements("master_key.imported") == []


@pytest.mark.parametrize("moves", [[], [State.SUSPENDED], [State.COMPROMISED]])
def test_a_key_that_is_not_destroyed_is_not_imported(custody: Custody, moves: list[State]) -> None:
    file = custody.exported()
    custody.move(1, *moves)
    with pytest.raises(ConflictError, match="only one that was destroyed is imported"):
        bring_back(custody, file)


def test_a_number_that_never_was_is_not_imported(custody: Custody) -> None:
    with pytest.raises(UnknownKeyError, match="There is no master key 9"):
        bring_back(custody, custody.exported(), 9)


def test_values_that_wait_for_the_key_are_retried(custody: Custody) -> None:
    file = custody.exported()
    custody.move(1, State.DESTROYED)
    quarantine(custody)
    imported = bring_back(custody, file)
    assert imported.quarantined == 1
    assert jobs(custody) == [(imported.retry_job_id, "reencryption.start", custody.organization_id)]


def test_values_that_wait_for_nothing_or_another_key_are_left_alone(custody: Custody) -> None:
    file = custody.exported()
    custody.move(1, State.DESTROYED)
    quarantine(custody, resolved=True)
    quarantine(custody, key_number=7)
    assert bring_back(custody, file).quarantined == 0
    assert jobs(custody) == []


def test_a_run_that_is_under_way_is_not_doubled(custody: Custody) -> None:
    file = custody.exported()
    custody.move(1, State.DESTROYED)
    quarantine(custody)
    custody.connection.execute(
        "UPDATE keywright.reencryption_run SET state = 'rewriting', finished_at = NULL"
    )
    assert bring_back(custody, file) == Imported(number=1, quarantined=1, retry_job_id=None)
    assert jobs(custody) == []
