"""``keywright field``."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from workers.cli.output import JsonOption, console, print_json, print_rows
from workers.cli.session import operator
from workers.composition import configured_root_keys
from workers.database.open import open_database
from workers.database.pool import Connection, connect, open_pool
from workers.database.schema import check_schema
from workers.encryption import registration
from workers.encryption.connections import Connections
from workers.encryption.registration import CheckedField, FieldRequest
from workers.encryption.registry import EncryptedField, FieldState, find_field, list_fields
from workers.errors import InvalidRequestError, KeywrightError
from workers.keys.keyring import KeyRing
from workers.organizations import store
from workers.settings import Settings, load_settings

_NO_ORGANIZATION = "give --organization-column, or --organization where all rows are of one."


class Mask(StrEnum):
    """What is shown to whoever may not view encrypted data."""

    ALL = "all"
    LAST_FOUR = "last_four"
    CREDIT_CARD = "credit_card"
    SSN = "ssn"
    SIN = "sin"
    NINO = "nino"


class MaskCharacter(StrEnum):
    """What stands for a hidden character."""

    ASTERISK = "*"
    X = "X"


@dataclass(frozen=True, kw_only=True)
class ListedField:
    """A field as it is listed."""

    field_name: str
    place: str
    column_type: str
    row_key: list[str]
    organization: str
    mask: str
    state: FieldState


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(no_args_is_help=True, help="Encrypted fields: columns with ciphertext.")
    group.command("register")(register_field)
    group.command("list")(list_all)
    group.command("show")(show)
    group.command("check")(check)
    group.command("unregister")(unregister)
    app.add_typer(group, name="field")


def register_field(
    name: Annotated[str, typer.Argument(help="How everybody calls it, such as customer.card.")],
    *,
    table: Annotated[str, typer.Option(help="The table, as schema.table.")],
    column: Annotated[str, typer.Option(help="The column; of type bytea or text.")],
    connection_name: Annotated[
        str | None,
        typer.Option("--connection", help="Its database; without it, keywright's own."),
    ] = None,
    organization_column: Annotated[
        str | None, typer.Option(help="The column with the organization's id.")
    ] = None,
    organization: Annotated[
        str | None, typer.Option("--organization", "-o", help="Or whose all rows are.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="A column of the row's key; once for each. Default: the primary key."),
    ] = None,
    mask: Annotated[Mask, typer.Option(help="What others see of a value.")] = Mask.ALL,
    mask_character: Annotated[
        MaskCharacter, typer.Option(help="What stands for a hidden character.")
    ] = MaskCharacter.ASTERISK,
    as_json: JsonOption = False,
) -> None:
    """Register a column as an encrypted field. Nothing is encrypted yet.

    The column is looked at, and all that keeps it from being one is said at once. Encrypting what
    it holds is a run: `keywright reencryption start --encrypt`.

    Examples:
    `keywright field register customer.card --table shop.customer --column card -o Acme
    --mask credit_card`

    `keywright field register note --table crm.note --column body --connection billing
    --organization-column tenant_id`
    """
    table_schema, dot, table_name = table.rpartition(".")
    if (organization is None) == (organization_column is None):
        raise InvalidRequestError(_NO_ORGANIZATION)
    with _open_registry() as (settings, connection, connections):
        owner = None if organization is None else store.organization_id(connection, organization)
        request = FieldRequest(
            field_name=name,
            connection_name=connection_name,
            table_schema=table_schema if dot else "public",
            table_name=table_name,
            column_name=column,
            key_columns=key,
            organization_column=organization_column,
            organization_id=owner,
            mask_type=mask.value,
            mask_character=mask_character.value,
        )
        with _open_keyring(settings, connections) as keyring:
            field, warnings = registration.register_column(
                connection, connections, keyring, request
            )
    if as_json:
        print_json({"field": field, "warnings": warnings})
        return
    for warning in warnings:
        console.print(f"! {warning}", style="yellow", markup=False, soft_wrap=True)
    console.print(f"{name} is {field.place}, {_in_words(field)}.", markup=False, soft_wrap=True)


def list_all(*, as_json: JsonOption = False) -> None:
    """List the encrypted fields, and what state each is in.

    Example: `keywright field list`
    """
    with _open_registry() as (_, connection, _):
        names = _organization_names(connection)
        rows = [_listed(field, names) for field in list_fields(connection)]
    print_rows(
        rows,
        {
            "field_name": "Field",
            "place": "Column",
            "column_type": "Type",
            "row_key": "Row key",
            "organization": "Organization",
            "mask": "Mask",
            "state": "State",
        },
        as_json=as_json,
        empty="No field is registered; `keywright field register` registers one.",
    )


def show(name: str, *, as_json: JsonOption = False) -> None:
    """Show one encrypted field, and what a look at its column finds.

    Example: `keywright field show customer.card`
    """
    with _open_registry() as (_, connection, connections):
        field = find_field(connection, name)
        listed = _listed(field, _organization_names(connection))
        checked = _check(connections, field)
    if as_json:
        looked = {"faults": checked.faults, "warnings": checked.warnings}
        print_json({"field": field, **looked})
        return
    console.print(f"{field.field_name}: {field.place}, {field.column_type}", markup=False)
    console.print(f"  id            {field.field_id}")
    console.print(f"  row key       {', '.join(listed.row_key)}", markup=False)
    console.print(f"  organization  {listed.organization}", markup=False)
    console.print(f"  mask          {listed.mask}", markup=False)
    console.print(f"  state         {_in_words(field)}")
    _print_checked(checked)


def check(
    name: Annotated[str | None, typer.Argument(help="Only this field.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Look at the columns of all fields again, and for ciphertext that nobody has declared.

    Exits with 1 if a column is not fit any more, or if undeclared ciphertext is found: rotation
    would pass it by, and it would be lost with its key.

    Example: `keywright field check`
    """
    with _open_registry() as (_, connection, connections):
        fields = list_fields(connection)
        looked_at = fields if name is None else [find_field(connection, name)]
        checked = [_check(connections, field) for field in looked_at]
        undeclared = [] if name else registration.find_undeclared(connections, fields)
    if as_json:
        print_json({"fields": checked, "undeclared": undeclared})
    else:
        for each in checked:
            console.print(f"{each.field_name} ({each.place})", markup=False)
            _print_checked(each)
        for place in undeclared:
            console.print(
                f"✗ {place} holds ciphertext and is no registered field; `keywright field register`"
                " registers it.",
                style="red",
                markup=False,
                soft_wrap=True,
            )
    if undeclared or any(each.faults for each in checked):
        raise typer.Exit(code=1)


def unregister(name: str) -> None:
    """Take a field out of the registry; its column must hold no ciphertext any more.

    Example: `keywright field unregister customer.card`
    """
    with _open_registry() as (_, connection, connections):
        field = registration.unregister_column(connection, connections, name)
    console.print(f"{name} is no encrypted field any more; {field.place} stays as it is.")


@contextmanager
def _open_registry() -> Iterator[tuple[Settings, Connection, Connections]]:
    settings = load_settings()
    with (
        open_database(settings.database_url, settings.data_dir) as database,
        connect(database.conninfo, name="cli", acting=operator()) as connection,
    ):
        check_schema(connection)
        yield settings, connection, Connections(database.conninfo, settings.connections)


@contextmanager
def _open_keyring(settings: Settings, connections: Connections) -> Iterator[KeyRing]:
    with open_pool(connections.conninfo(None), size=1, name="cli keys", acting=operator()) as pool:
        yield KeyRing(pool, configured_root_keys(settings))


def _check(connections: Connections, field: EncryptedField) -> CheckedField:
    try:
        return registration.check_field(connections, field)
    except KeywrightError as error:  # of this field's database; the others are looked at
        return CheckedField(
            field_name=field.field_name, place=field.place, faults=[str(error)], warnings=[]
        )


def _organization_names(connection: Connection) -> dict[int, str]:
    return {each.organization_id: each.name for each in store.list_organizations(connection)}


def _listed(field: EncryptedField, names: dict[int, str]) -> ListedField:
    if field.organization_id is None:
        organization = f"by column {field.organization_column}"
    else:
        organization = names.get(field.organization_id, str(field.organization_id))
    return ListedField(
        field_name=field.field_name,
        place=field.place,
        column_type=field.column_type,
        row_key=[
            f"{column} {type_name}"
            for column, type_name in zip(field.key_columns, field.key_types, strict=True)
        ],
        organization=organization,
        mask=f"{field.mask_type} {field.mask_character}",
        state=field.state,
    )


def _in_words(field: EncryptedField) -> str:
    return {
        "plaintext": "plaintext: nothing is encrypted yet",
        "encrypting": "encrypting: new values are ciphertext, a run sees to the old ones",
        "encrypted": "encrypted: every value is ciphertext",
        "decrypting": "decrypting: new values are plaintext, a run sees to the old ones",
    }[field.state]


def _print_checked(checked: CheckedField) -> None:
    for fault in checked.faults:
        console.print(f"  ✗ {fault}", style="red", markup=False, soft_wrap=True)
    for warning in checked.warnings:
        console.print(f"  ! {warning}", style="yellow", markup=False, soft_wrap=True)
    if not checked.faults and not checked.warnings:
        console.print("  ✓ nothing to complain about")
