"""``keywright certificate create | copy | rekey | edit``."""

from collections.abc import Callable
from shlex import quote
from typing import Annotated

import typer

from workers.certificates import issuing
from workers.certificates.editing import edit_certificate
from workers.cli.certificate_session import checked, open_certificate_session
from workers.cli.key_options import actor
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, cell, console, print_json
from workers.cli.session import open_session
from workers.contract.certificates import (
    AlternativeNames,
    CopyCertificate,
    GenerateCertificate,
    IssuedCertificate,
    KeyType,
    LifetimeCaps,
    ProfileName,
    Subject,
)
from workers.contract.request import JobRequest
from workers.database.pool import database_clock
from workers.errors import InvalidRequestError
from workers.organizations.store import organization_id

_KINDS_OF_NAMES = tuple(AlternativeNames.model_fields)

NameArgument = Annotated[str, typer.Argument(help="Unique name of the certificate.")]
UniqueNameOption = Annotated[
    str | None, typer.Option("--unique-name", help="Without it, the label gives it.")
]


def register(group: typer.Typer) -> None:
    """Add the commands to ``keywright certificate``."""
    group.command("create")(create)
    group.command("copy")(copy)
    group.command("rekey")(rekey)
    group.command("edit")(edit)


def create(
    label: Annotated[str, typer.Argument(help="What people call it, up to 64 characters.")],
    *,
    organization: OrganizationOption,
    unique_name: UniqueNameOption = None,
    ca_signed: Annotated[
        bool, typer.Option("--ca-signed", help="Make a request that a CA is to sign.")
    ] = False,
    profile: Annotated[
        ProfileName, typer.Option(help="What it is for; standard is RSA for one or two years.")
    ] = "standard",
    key_type: Annotated[
        KeyType | None, typer.Option(help="Without it, RSA-2048, or P-256 in other profiles.")
    ] = None,
    common_name: Annotated[str | None, typer.Option(help="CN, such as www.example.org.")] = None,
    email_address: Annotated[str | None, typer.Option(help="emailAddress.")] = None,
    company: Annotated[str | None, typer.Option(help="O, the legal name.")] = None,
    department: Annotated[str | None, typer.Option(help="OU.")] = None,
    city: Annotated[str | None, typer.Option(help="L.")] = None,
    state: Annotated[str | None, typer.Option(help="ST.")] = None,
    country: Annotated[str | None, typer.Option(help="C, two letters.")] = None,
    san: Annotated[
        list[str] | None,
        typer.Option(help="Alternative name, as dns:…, ip:…, email:… or uri:…. Repeatable."),
    ] = None,
    validity_days: Annotated[
        int | None, typer.Option(help="How long it lasts; not in the standard profile.")
    ] = None,
    lifetime_caps: Annotated[
        LifetimeCaps | None,
        typer.Option(help="What to do about a TLS server's that lasts too long for public CAs."),
    ] = None,
    not_exportable: Annotated[
        bool, typer.Option("--not-exportable", help="Its private key never leaves in a keystore.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a key pair, and a self-signed certificate or the request that a CA is to sign.

    Examples:
    `keywright certificate create "SAML signing" -o Acme --key-type RSA-4096`

    `keywright certificate create Shop -o Acme --ca-signed --profile tls_server
    --common-name shop.example.org --company Acme --country DE --san dns:shop.example.org`
    """
    given = {
        "common_name": common_name,
        "email_address": email_address,
        "organization": company,
        "organizational_unit": department,
        "locality": city,
        "state": state,
        "country": country,
    }
    request = checked(
        GenerateCertificate,
        label=label,
        unique_name=unique_name,
        ca_signed=ca_signed,
        profile=profile,
        key_type=key_type,
        subject=checked(Subject, **given) if any(given.values()) else None,
        alternative_names=_alternative_names(san or []),
        validity_days=validity_days,
        lifetime_caps=lifetime_caps,
        private_key_exportable=not not_exportable,
    )
    _print_issued(_issue(issuing.generate, request, organization), organization, as_json=as_json)


def copy(
    source: Annotated[str, typer.Argument(help="Unique name of the one to repeat.")],
    label: Annotated[str, typer.Argument(help="Label of the new one.")],
    *,
    organization: OrganizationOption,
    unique_name: UniqueNameOption = None,
    exportable: Annotated[
        bool | None,
        typer.Option("--exportable/--not-exportable", help="Without either, as the source."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make another certificate with the parameters of one that is there, and a new key pair.

    Example: `keywright certificate copy SAML_signing "SAML signing 2027" -o Acme`
    """
    request = checked(
        CopyCertificate,
        source=source,
        label=label,
        unique_name=unique_name,
        private_key_exportable=exportable,
    )
    _print_issued(_issue(issuing.copy, request, organization), organization, as_json=as_json)


def rekey(
    name: NameArgument,
    *,
    organization: OrganizationOption,
    expected_version: Annotated[
        int | None,
        typer.Option(min=1, help="Only if this is the newest version; otherwise say which is."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Give a certificate a new key pair, everything else as before: its next version.

    Places that use it keep the version they have, and are warned of, until they switch.

    Example: `keywright certificate rekey SAML_signing -o Acme`
    """
    with open_certificate_session() as (connection, tools):
        issued = issuing.rekey(
            connection,
            tools,
            organization_id=organization_id(connection, organization),
            unique_name=name,
            expected_version=expected_version,
            now=database_clock(connection),
            requested_by=actor(),
        )
    _print_issued(issued, organization, as_json=as_json)


def edit(
    name: NameArgument,
    *,
    organization: OrganizationOption,
    label: Annotated[str | None, typer.Option(help="The new label.")] = None,
    unique_name: Annotated[str | None, typer.Option(help="The new unique name.")] = None,
    key_type: Annotated[str | None, typer.Option(help="Refused: it cannot change.")] = None,
    key_size: Annotated[str | None, typer.Option(help="Refused: it cannot change.")] = None,
    kind: Annotated[str | None, typer.Option(help="Refused: it cannot change.")] = None,
    exportable: Annotated[
        bool | None,
        typer.Option("--exportable/--not-exportable", help="Refused: it cannot change."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Change the label or the unique name of a certificate; nothing else can change.

    Example: `keywright certificate edit SAML_signing -o Acme --label "SAML signing (Okta)"`
    """
    given = {
        "label": label,
        "unique_name": unique_name,
        "key_type": key_type,
        "key_size": key_size,
        "kind": kind,
        "private_key_exportable": exportable,
    }
    changes = {field: value for field, value in given.items() if value is not None}
    with open_session() as connection:
        now_called = edit_certificate(
            connection,
            organization_id=organization_id(connection, organization),
            unique_name=name,
            changes=changes,
            requested_by=actor(),
        )
    if as_json:
        print_json({"unique_name": now_called, "changed": sorted(changes)})
    else:
        console.print(f"Changed {now_called}.", markup=False)


def _alternative_names(given: list[str]) -> AlternativeNames:
    names: dict[str, list[str]] = {kind: [] for kind in _KINDS_OF_NAMES}
    for each in given:
        kind, separator, name = each.partition(":")
        if not separator or kind not in names:
            raise InvalidRequestError(
                f"--san {each}: write it as {':…, '.join(_KINDS_OF_NAMES)}:… (a kind and a name)."
            )
        names[kind].append(name)
    return checked(AlternativeNames, **names)


def _issue(
    make: Callable[..., IssuedCertificate], request: JobRequest, organization: str
) -> IssuedCertificate:
    """Do here what a job of this request would do."""
    with open_certificate_session() as (connection, tools):
        return make(
            connection,
            tools,
            request,
            organization_id=organization_id(connection, organization),
            now=database_clock(connection),
            requested_by=actor(),
        )


def _print_issued(issued: IssuedCertificate, organization: str, *, as_json: bool) -> None:
    if as_json:
        print_json(issued)
        return
    name, version = issued.unique_name, issued.version_number
    if not issued.made:
        said = f"Somebody else was faster: version {version} of {name} is the newest."
    elif issued.status == "unusable":
        said = (
            f"{name}, version {version}, waits for its CA: `keywright certificate csr {name}"
            f" -o {quote(organization)}` gives the request, and `keywright certificate upload`"
            " takes what comes back."
        )
    else:
        said = f"{name}, version {version}, is valid until {cell(issued.not_after)}."
    console.print(said, markup=False, soft_wrap=True)
    for warning in issued.warnings:
        console.print(f"! {warning}", style="yellow", markup=False, soft_wrap=True)
