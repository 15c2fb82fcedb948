"""``keywright keystore``."""

from pathlib import Path
from typing import Annotated

import typer

from workers.certificates.keystore_announcements import announce_export, announce_import
from workers.certificates.keystore_export import (
    Passwords,
    check_passwords,
    collect_contents,
    write_contents,
)
from workers.certificates.keystore_import import ImportOptions, import_planned, plan_import
from workers.certificates.keystores.reading import read_keystore
from workers.cli.certificate_session import open_certificate_session
from workers.cli.key_options import OnlyOrganization, actor
from workers.cli.keystore_options import (
    KeyPasswordFileOption,
    KeystoreFile,
    KeystoreFormat,
    PasswordFileOption,
    StrictOption,
    read_key_password,
    read_keystore_file,
    read_password,
)
from workers.cli.keystore_report import print_exported, print_plan
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, print_json
from workers.cli.session import open_session
from workers.database.pool import database_clock
from workers.errors import InvalidRequestError
from workers.keys.new_file import new_private_file
from workers.organizations.store import organization_id

NameOption = Annotated[
    list[str] | None,
    typer.Option("--name", help="alias=unique_name, for an alias that does not do. Repeatable."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        no_args_is_help=True, help="Keystores: certificates and private keys that come and go."
    )
    group.command("export")(export)
    group.command("import")(import_)
    group.command("inspect")(inspect)
    app.add_typer(group, name="keystore")


def export(
    *,
    organization: OrganizationOption,
    output: Annotated[Path, typer.Option(help="The new file; only you can read it (0600).")],
    store_format: Annotated[
        KeystoreFormat, typer.Option("--format", help="PKCS #12 is the one to recommend.")
    ] = KeystoreFormat.PKCS12,
    certificate: Annotated[
        list[str] | None,
        typer.Option(help="Unique name of one that goes in; without any, all do. Repeatable."),
    ] = None,
    truststore: Annotated[
        bool, typer.Option("--truststore", help="Certificates to be trusted; no private keys.")
    ] = False,
    password_file: PasswordFileOption = None,
    key_password_file: KeyPasswordFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write an organization's certificates into one keystore, with the private keys that may leave.

    Of each certificate it is the newest version that is signed. One whose private key is not
    exportable, or not here, goes without. The password has at least 8 characters.

    Examples:
    `keywright keystore export -o Acme --output acme.p12`

    `keywright keystore export -o Acme --output saml.jks --format jks --certificate saml_signing`

    `keywright keystore export -o Acme --output trust.pem --format pem --truststore`
    """
    needs_password = not (truststore and store_format is KeystoreFormat.PEM)
    passwords = Passwords(
        store=read_password(password_file, confirm=True) if needs_password else None,
        key=read_key_password(key_password_file),
    )
    check_passwords(passwords, store_format=store_format.value, truststore=truststore)
    with (
        open_certificate_session() as (connection, tools),
        new_private_file(output) as write,
    ):
        owner = organization_id(connection, organization)
        contents = collect_contents(
            connection,
            tools.private_keys,
            organization_id=owner,
            unique_names=certificate or (),
            truststore=truststore,
        )
        write(
            write_contents(
                contents, passwords, store_format=store_format.value, truststore=truststore
            )
        )
        # On record before the file has its name.
        announce_export(
            connection,
            contents,
            organization_id=owner,
            subject=f"organization/{owner}",
            requested_by=actor(),
            store_format=store_format.value,
            job_id=None,
        )
    if as_json:
        print_json(
            {
                "file": str(output),
                "format": store_format.value,
                "entries": contents.entries,
                "unsigned": contents.unsigned,
            }
        )
    else:
        print_exported(output, contents, truststore=truststore)


def import_(
    file: KeystoreFile,
    *,
    organization: OrganizationOption,
    password_file: PasswordFileOption = None,
    key_password_file: KeyPasswordFileOption = None,
    name: NameOption = None,
    strict: StrictOption = False,
    not_exportable: Annotated[
        bool, typer.Option("--not-exportable", help="The private keys never leave again.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be imported; keep nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take in the private keys of a keystore with their certificates; all of them, or none.

    Each alias becomes a unique name, in lower case. A name that is taken is never overwritten. All
    faults are listed at once, and the command then exits with 1.

    Examples:
    `keywright keystore import acme.p12 -o Acme --dry-run`

    `keywright keystore import old.jks -o Acme --name "tls-2026=tls_2026" --not-exportable`
    """
    options = ImportOptions(
        names=_names(name or []), private_keys_exportable=not not_exportable, strict=strict
    )
    reading = read_keystore(
        read_keystore_file(file),
        store_password=read_password(password_file),
        key_password=read_key_password(key_password_file),
    )
    with open_certificate_session() as (connection, tools):
        owner = organization_id(connection, organization)
        plan = plan_import(connection, reading, options, organization_id=owner)
        imported = not (dry_run or plan.faults)
        if imported:
            with connection.transaction():
                import_planned(
                    connection,
                    tools.private_keys,
                    plan,
                    organization_id=owner,
                    now=database_clock(connection),
                )
                announce_import(
                    connection,
                    plan,
                    organization_id=owner,
                    subject=f"organization/{owner}",
                    requested_by=actor(),
                    job_id=None,
                )
    print_plan(plan, imported=imported, as_json=as_json)


def inspect(
    file: KeystoreFile,
    *,
    organization: OnlyOrganization = None,
    password_file: PasswordFileOption = None,
    key_password_file: KeyPasswordFileOption = None,
    name: NameOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what a keystore holds and everything that stands against importing it; keep nothing.

    With an organization, names that it has already are among the faults.

    Example: `keywright keystore inspect acme.p12 -o Acme`
    """
    options = ImportOptions(names=_names(name or []), strict=strict)
    reading = read_keystore(
        read_keystore_file(file),
        store_password=read_password(password_file),
        key_password=read_key_password(key_password_file),
    )
    if organization is None:
        plan = plan_import(None, reading, options, organization_id=None)
    else:
        with open_session() as connection:
            owner = organization_id(connection, organization)
            plan = plan_import(connection, reading, options, organization_id=owner)
    print_plan(plan, imported=False, as_json=as_json)


def _names(given: list[str]) -> dict[str, str]:
    names = {}
    for each in given:
        alias, separator, unique_name = each.rpartition("=")
        if not (separator and alias and unique_name):
            raise InvalidRequestError(f"--name {each}: write it as alias=unique_name.")
        names[alias] = unique_name
    return names
