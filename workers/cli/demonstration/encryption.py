"""The demo's second act: a table is encrypted, the master key rotated, the table re-encrypted."""

from collections.abc import Sequence
from pathlib import Path

from workers.cli.demonstration.patients import (
    PATIENTS,
    SCHEMA,
    TABLE,
    find_patient,
    make_patients,
    tidy_up,
)
from workers.cli.output import console
from workers.cli.reencryption_progress import watch
from workers.cli.reencryption_report import print_report, say_end
from workers.cli.session import operator
from workers.database.pool import Connection, Pool, open_pool
from workers.encryption import FieldCipher
from workers.encryption.connections import Connections
from workers.encryption.registration import FieldRequest, register_column
from workers.errors import ConflictError
from workers.keys.keyring import KeyRing
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.opening import open_root_keys
from workers.keys.rotation_by_hand import rotate_by_hand
from workers.organizations.store import organization_id
from workers.reencryption.control import resume_run, start_run
from workers.reencryption.store import Purpose, Run, unfinished_run
from workers.settings import Settings

_CARD, _NOTE = "demo.patient.card", "demo.patient.note"
_EXAMPLE = 4711
_ACTOR = "keywright demo"
_PATIENCE_SECONDS = 120


def with_root_key(settings: Settings) -> Settings:
    """Return the settings with a root key: where none is named, a file in the data folder."""
    if settings.root_key is not None:
        return settings
    if not settings.embedded_database:
        console.print(
            f"No root key is named, so the demo uses file:{_root_key_file(settings)}; name it in"
            " KEYWRIGHT_ROOT_KEY to go on with its keys.",
            soft_wrap=True,
        )
    return settings.model_copy(update={"root_key": f"file:{_root_key_file(settings)}"})


def make_root_key(settings: Settings) -> RootKeys:
    """Return the root keys; the file in the data folder is made if it is not there."""
    assert settings.root_key is not None
    ours = settings.root_key == f"file:{_root_key_file(settings)}"
    root_keys = open_root_keys(settings.root_key, settings.former_root_key, create=ours)
    _ = root_keys.current.identifier  # looks into the file, and so makes it
    return root_keys


def _root_key_file(settings: Settings) -> Path:
    return settings.data_dir.absolute() / "root.key"


def rotate_and_reencrypt(
    connection: Connection, conninfo: str, root_keys: RootKeys, *, organization: str
) -> None:
    """Encrypt the patients of an organization, give it a new master key, and re-encrypt them.

    Workers must be running. Run again, it rotates and re-encrypts again.

    Raises:
        RunNotFinishedError: a run did not end in time.
    """
    console.print(f"\n[bold]{organization}: encrypted fields and a new master key[/bold]")
    owner = organization_id(connection, organization)
    with open_pool(conninfo, size=2, name="demo keys", acting=operator()) as pool:
        keyring = KeyRing(pool, root_keys)
        left = unfinished_run(connection, owner)
        if left is not None and resume_run(connection, left):
            _watch(connection, left)
        if make_patients(connection):
            console.print(f"Made up {PATIENTS:,} patients, each with a card number and a note.")
        tidy_up(connection)
        if plain := _register(connection, conninfo, keyring, owner):
            console.print("Encrypting both columns; the application may go on meanwhile …")
            run = _run(connection, keyring, owner, "encrypt", plain)
            assert run.report is not None
            console.print(f"Encrypted: {run.report['rewritten']:,} rows, {say_end(run)}.")
            tidy_up(connection)
        rotated = rotate_by_hand(
            connection,
            root_keys,
            organization_id=owner,
            actor=_ACTOR,
            reason="to show how it is done",
        )
        console.print(
            f"Master key {rotated.number} is active, {rotated.former} is archived. Re-encrypting …"
        )
        print_report(_run(connection, keyring, owner, "reencrypt", [_CARD, _NOTE]))
        _show_example(connection, pool, keyring, owner)


def _register(connection: Connection, conninfo: str, keyring: KeyRing, owner: int) -> Sequence[str]:
    """Register both columns; return the fields that are not encrypted yet."""
    plain = []
    for name, column in ((_CARD, "card"), (_NOTE, "note")):
        field, _ = register_column(
            connection,
            Connections(conninfo),
            keyring,
            FieldRequest(
                field_name=name,
                table_schema=SCHEMA,
                table_name=TABLE,
                column_name=column,
                organization_id=owner,
                mask_type="credit_card" if name == _CARD else "all",
            ),
        )
        if field.state != "encrypted":
            plain.append(name)
    return plain


def _run(
    connection: Connection, keyring: KeyRing, owner: int, purpose: Purpose, names: Sequence[str]
) -> Run:
    with connection.transaction():
        run_id = start_run(
            connection,
            keyring,
            organization_id=owner,
            purpose=purpose,
            field_names=names,
            requested_by=_ACTOR,
        )
    return _watch(connection, run_id)


def _watch(connection: Connection, run_id: int) -> Run:
    run = watch(connection, run_id, patience_seconds=_PATIENCE_SECONDS)
    if run.state == "cancelled":
        raise ConflictError(f"Somebody has cancelled run {run_id}; start the demo once more.")
    return run


def _show_example(connection: Connection, pool: Pool, keyring: KeyRing, owner: int) -> None:
    name, stored = find_patient(connection, _EXAMPLE)
    shown = FieldCipher(keyring, pool).reveal(
        _CARD, organization_id=owner, row=(_EXAMPLE,), value=stored, may_view_encrypted_data=False
    )
    console.print(
        f"{name}'s card is stored as {stored[:24]}…, and shown as {shown} to whoever may not view"
        " encrypted data.",
        markup=False,
        soft_wrap=True,
    )
