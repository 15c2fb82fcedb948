"""``keywright usage``."""

from typing import Annotated

import typer

from workers.certificates import usages
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, console, print_rows
from workers.cli.session import open_session
from workers.database.pool import database_clock
from workers.organizations.store import organization_id

PlaceKind = Annotated[str, typer.Argument(help="Such as saml_configuration or tls_listener.")]
Place = Annotated[str, typer.Argument(help="Its name.")]
VersionOption = Annotated[
    int | None, typer.Option("--version", min=1, help="Default: the newest signed one.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(no_args_is_help=True, help="Usages: where certificates are used.")
    group.command("add")(add)
    group.command("list")(list_all)
    group.command("move")(move)
    group.command("remove")(remove)
    app.add_typer(group, name="usage")


def add(
    certificate: str,
    place_kind: PlaceKind,
    place: Place,
    *,
    organization: OrganizationOption,
    version: VersionOption = None,
) -> None:
    """Register that a place uses a certificate.

    Example: `keywright usage add saml_signing saml_configuration Okta -o Acme`
    """
    with open_session() as connection:
        usages.add_usage(
            connection,
            organization_id=organization_id(connection, organization),
            unique_name=certificate,
            place_kind=place_kind,
            place=place,
            now=database_clock(connection),
            version_number=version,
        )
    console.print(f"{place_kind}: {place} uses {certificate}.", markup=False)


def move(
    place_kind: PlaceKind,
    place: Place,
    certificate: str,
    *,
    organization: OrganizationOption,
    version: VersionOption = None,
) -> None:
    """Record that a place has switched to another certificate or version.

    Example: `keywright usage move saml_configuration Okta saml_signing -o Acme`
    """
    with open_session() as connection:
        usages.move_usage(
            connection,
            organization_id=organization_id(connection, organization),
            place_kind=place_kind,
            place=place,
            unique_name=certificate,
            version_number=version,
        )
    console.print(f"{place_kind}: {place} uses {certificate} now.", markup=False)


def remove(place_kind: PlaceKind, place: Place, *, organization: OrganizationOption) -> None:
    """Record that a place uses no certificate any more."""
    with open_session() as connection:
        usages.remove_usage(
            connection,
            organization_id=organization_id(connection, organization),
            place_kind=place_kind,
            place=place,
        )
    console.print(f"{place_kind}: {place} uses no certificate any more.", markup=False)


def list_all(
    *,
    organization: OrganizationOption,
    certificate: Annotated[
        str | None, typer.Option("--certificate", "-c", help="Only of this one.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List where certificates are used, and which places still have a replaced version."""
    with open_session() as connection:
        rows = usages.list_usages(
            connection,
            organization_id=organization_id(connection, organization),
            unique_name=certificate,
        )
    print_rows(
        rows,
        {
            "place_kind": "Kind",
            "place": "Place",
            "unique_name": "Certificate",
            "version_number": "Version",
            "not_after": "Expires",
            "replaced": "To be switched",
        },
        as_json=as_json,
        empty="No usage is registered; `keywright usage add` registers one.",
    )
