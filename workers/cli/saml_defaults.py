"""``keywright saml enable-multiple | retire-default | replace-default``."""

from typing import Annotated

import typer

from workers.certificates.replacement.plan import VersionRef
from workers.certificates.retired_defaults import (
    SwitchedConfigurations,
    enable_multiple,
    organizations_on_default,
    reinstate_default,
    replace_default,
    retire_default,
)
from workers.cli.certificate_session import open_certificate_session
from workers.cli.key_options import OnlyOrganization, actor
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, console, print_json
from workers.cli.saml_options import CertificateOption, VersionOption, version_ref
from workers.cli.session import open_session
from workers.database.pool import database_clock
from workers.errors import InvalidRequestError
from workers.organizations.store import organization_id


def register(group: typer.Typer) -> None:
    """Add the commands to ``keywright saml``."""
    group.command("enable-multiple")(enable)
    group.command("retire-default")(retire)
    group.command("replace-default")(replace)


def enable(
    *,
    organization: OrganizationOption,
    certificate: CertificateOption = None,
    version: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let an organization have several configurations; those on a retired default are switched.

    Example: `keywright saml enable-multiple -o Acme`
    """
    with open_certificate_session() as (connection, tools):
        switched = enable_multiple(
            connection,
            tools,
            organization_id=organization_id(connection, organization),
            certificate=version_ref(certificate, version),
            actor=actor(),
            now=database_clock(connection),
        )
    if as_json:
        print_json(switched)
        return
    console.print(f"{switched.organization} may have several SAML configurations.", markup=False)
    _say([switched])


def retire(
    certificate: Annotated[str, typer.Argument(help="Unique name of the default certificate.")],
    *,
    organization: OrganizationOption,
    version: VersionOption = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take it back: it may be selected again.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let no SAML configuration of any organization select a default certificate any more.

    Copies of it are the same certificate, whatever their name and organization.

    Examples:
    `keywright saml retire-default proxy_default -o Acme`

    `keywright saml retire-default proxy_default -o Acme --undo`
    """
    if undo:
        _reinstate(certificate, organization=organization, version=version, as_json=as_json)
        return
    with open_session() as connection:
        count = retire_default(
            connection,
            organization_id=organization_id(connection, organization),
            certificate=VersionRef(unique_name=certificate, version_number=version),
            actor=actor(),
            now=database_clock(connection),
        )
    if as_json:
        print_json({"configurations": count})
    else:
        console.print(
            f"No SAML configuration can select it any more; {count} still have it: `keywright saml"
            " replace-default` switches them.",
            soft_wrap=True,
        )


def _reinstate(certificate: str, *, organization: str, version: int | None, as_json: bool) -> None:
    with open_session() as connection:
        count = reinstate_default(
            connection,
            organization_id=organization_id(connection, organization),
            certificate=VersionRef(unique_name=certificate, version_number=version),
            now=database_clock(connection),
        )
    if as_json:
        print_json({"configurations": count})
    else:
        console.print(f"It may be selected again; {count} configurations have it.")


def replace(
    *,
    organization: OnlyOrganization = None,
    certificate: CertificateOption = None,
    version: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Switch every configuration that has a retired default certificate, or none at all.

    Without --organization, those of all organizations. What has one of its own stays as it is.

    Examples:
    `keywright saml replace-default`

    `keywright saml replace-default -o Acme --certificate saml_2027`
    """
    if certificate is not None and organization is None:
        raise InvalidRequestError("--certificate: belongs to one organization; name it, too (-o).")
    with open_certificate_session() as (connection, tools):
        owners = (
            organizations_on_default(connection)
            if organization is None
            else [organization_id(connection, organization)]
        )
        switched = [
            replace_default(
                connection,
                tools,
                organization_id=owner,
                certificate=version_ref(certificate, version),
                actor=actor(),
                now=database_clock(connection),
            )
            for owner in owners
        ]
    if as_json:
        print_json(switched)
    else:
        _say(switched)


def _say(switched: list[SwitchedConfigurations]) -> None:
    changed = [each for each in switched if each.names]
    for each in changed:
        console.print(
            f"{each.organization}: {', '.join(each.names)} sign with {each.certificate} now; try"
            " each, and say how that went (`keywright saml tried`).",
            markup=False,
            soft_wrap=True,
        )
    if not changed:
        console.print("No configuration had a retired default certificate.")
