"""``keywright saml``: configurations that sign their requests, and their metadata."""

from pathlib import Path
from typing import Annotated

import typer

from workers.certificates.replacement.plan import VersionRef
from workers.certificates.saml import store
from workers.certificates.saml.publishing import USUAL_VALID_DAYS, publish_metadata
from workers.certificates.saml.switching import switch_configuration
from workers.certificates.saml.writing import replace_file
from workers.cli import saml_defaults
from workers.cli.certificate_session import open_certificate_session
from workers.cli.key_options import actor
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, cell, console, print_json, print_table
from workers.cli.saml_options import NameArgument, VersionOption, version_ref
from workers.cli.session import open_session
from workers.database.pool import database_clock
from workers.organizations.store import organization_id


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        no_args_is_help=True, help="SAML single sign-on: request-signing certificates, metadata."
    )
    group.command("add")(add)
    group.command("list")(list_all)
    group.command("show")(show)
    group.command("metadata")(metadata)
    group.command("switch")(switch)
    group.command("tried")(tried)
    group.command("done")(done)
    group.command("remove")(remove)
    saml_defaults.register(group)
    app.add_typer(group, name="saml")


def add(
    name: NameArgument,
    *,
    organization: OrganizationOption,
    entity_id: Annotated[str, typer.Option(help="Ours: an https URL, or a URN.")],
    assertion_consumer_url: Annotated[
        str, typer.Option("--acs-url", help="Where assertions are sent: an https URL.")
    ],
    certificate: Annotated[
        str, typer.Option("--certificate", "-c", help="Unique name of the one that signs requests.")
    ],
    version: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a configuration whose requests a certificate of the organization signs.

    Example: `keywright saml add Okta -o Acme --entity-id https://acme.example/saml
    --acs-url https://acme.example/saml/acs --certificate saml_2026`
    """
    with open_session() as connection:
        configuration_id = store.add_configuration(
            connection,
            organization_id=organization_id(connection, organization),
            name=name,
            entity_id=entity_id,
            assertion_consumer_url=assertion_consumer_url,
            certificate=VersionRef(unique_name=certificate, version_number=version),
            now=database_clock(connection),
        )
    if as_json:
        print_json({"saml_configuration_id": configuration_id, "name": name})
    else:
        console.print(
            f"Added {name}; `keywright saml metadata {name}` is what its identity provider needs.",
            markup=False,
            soft_wrap=True,
        )


def list_all(*, organization: OrganizationOption, as_json: JsonOption = False) -> None:
    """List the configurations, the certificate of each, and how far each has come."""
    with open_session() as connection:
        rows = store.list_configurations(
            connection, organization_id=organization_id(connection, organization)
        )
    if as_json:
        print_json(rows)
    elif not rows:
        console.print("There are no SAML configurations yet; `keywright saml add` makes one.")
    else:
        print_table(
            ("Name", "Certificate", "Expires", "State", "Replacement"),
            (
                (
                    row.name,
                    f"{row.unique_name} v{row.version_number}" if row.unique_name else "none",
                    cell(row.not_after),
                    row.check_state.replace("_", " "),
                    f"{row.replacement_id}, {row.step}" if row.replacement_id else "",
                )
                for row in rows
            ),
        )


def show(
    name: NameArgument, *, organization: OrganizationOption, as_json: JsonOption = False
) -> None:
    """Show one configuration.

    Example: `keywright saml show Okta -o Acme`
    """
    with open_session() as connection:
        found = store.find_configuration(
            connection, organization_id=organization_id(connection, organization), name=name
        )
    if as_json:
        print_json(found)
        return
    signs = "none"
    if found.unique_name is not None:
        retired = ", the retired default" if found.uses_retired_default else ""
        signs = f"{found.unique_name} version {found.version_number}{retired}"
        signs += f", ends {cell(found.not_after)}"
    replaced = "no"
    if found.replacement_id is not None:
        replaced = f"replacement {found.replacement_id}, {found.step}"
    lines = {
        "Name": found.name,
        "Entity id": found.entity_id,
        "Assertions to": found.assertion_consumer_url,
        "Certificate": signs,
        "Being replaced": replaced,
        "State": f"{found.check_state.replace('_', ' ')} since {cell(found.checked_at)}",
    }
    for heading, value in lines.items():
        console.print(f"{heading:16}{value}", markup=False, soft_wrap=True)


def metadata(
    name: NameArgument,
    *,
    organization: OrganizationOption,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-O",
            dir_okay=False,
            help="A file, replaced if it is there; default: the screen.",
        ),
    ] = None,
    valid_days: Annotated[
        int, typer.Option(help="Copies are good for so long, or until the certificate ends.")
    ] = USUAL_VALID_DAYS,
) -> None:
    """Print the signed metadata: with both keys while the certificate is being replaced.

    The key that signs requests now stands first and signs the metadata.

    Example: `keywright saml metadata Okta -o Acme --output okta.xml`
    """
    with open_certificate_session() as (connection, tools):
        xml = publish_metadata(
            connection,
            tools.private_keys,
            organization_id=organization_id(connection, organization),
            name=name,
            now=database_clock(connection),
            valid_days=valid_days,
        )
    if output is None:
        typer.echo(xml.decode("utf-8"))
    else:
        replace_file(output, xml)
        console.print(f"Wrote {output}.", markup=False)


def switch(
    name: NameArgument,
    *,
    organization: OrganizationOption,
    certificate: Annotated[
        str | None,
        typer.Option("--certificate", "-c", help="Where none is being replaced: which one."),
    ] = None,
    version: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a configuration sign with the successor of its certificate, or with another at once.

    Examples:
    `keywright saml switch Okta -o Acme`

    `keywright saml switch Okta -o Acme --certificate saml_2027`
    """
    with open_session() as connection:
        switched = switch_configuration(
            connection,
            organization_id=organization_id(connection, organization),
            name=name,
            certificate=version_ref(certificate, version),
            actor=actor(),
            now=database_clock(connection),
        )
    if as_json:
        print_json(switched)
    else:
        console.print(
            f"{switched.name} signs with {switched.unique_name} version"
            f" {switched.version_number}. Try to sign on from its side, then say how that went:"
            f" `keywright saml tried {switched.name} --works` (or `--fails`).",
            markup=False,
            soft_wrap=True,
        )


def tried(
    name: NameArgument,
    *,
    organization: OrganizationOption,
    works: Annotated[bool, typer.Option("--works/--fails", help="Did sign-on from its side work?")],
    as_json: JsonOption = False,
) -> None:
    """Record whether sign-on begun by the service provider works with its certificate.

    Example: `keywright saml tried Okta -o Acme --works`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        state = store.record_try(
            connection,
            organization_id=owner,
            name=name,
            works=works,
            now=database_clock(connection),
        )
        found = store.find_configuration(connection, organization_id=owner, name=name)
    if as_json:
        print_json({"name": found.name, "state": state.value})
    elif works:
        console.print(f"{found.name} works; nothing is to be done at the identity provider.")
    else:
        console.print(
            f"The identity provider needs the certificate: give it `keywright saml metadata"
            f" {found.name}`, or `keywright certificate download {found.unique_name}`; then"
            f" `keywright saml done {found.name}`.",
            markup=False,
            soft_wrap=True,
        )


def done(
    name: NameArgument, *, organization: OrganizationOption, as_json: JsonOption = False
) -> None:
    """Record that all is well: it works, or the identity provider has the certificate.

    Example: `keywright saml done Okta -o Acme`
    """
    with open_session() as connection:
        state = store.complete(
            connection,
            organization_id=organization_id(connection, organization),
            name=name,
            now=database_clock(connection),
        )
    if as_json:
        print_json({"name": name, "state": state.value})
    else:
        console.print(f"{name} is done.", markup=False)


def remove(name: NameArgument, *, organization: OrganizationOption) -> None:
    """Forget a configuration; its certificate stays."""
    with open_session() as connection:
        store.remove_configuration(
            connection,
            organization_id=organization_id(connection, organization),
            name=name,
        )
    console.print(f"Removed {name}.", markup=False)
