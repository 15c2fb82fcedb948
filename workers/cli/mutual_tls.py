"""``keywright mutual-tls``: which client certificates an organization accepts, and from whom."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workers.certificates.mutual_tls import enabling, store, uploading, withdrawing
from workers.certificates.mutual_tls.calls import decide_call
from workers.certificates.mutual_tls.client_checks import CheckedClient
from workers.certificates.mutual_tls.decision import Accepted, Door, PresentedCertificate
from workers.certificates.mutual_tls.findings import UploadFault
from workers.certificates.mutual_tls.pem_only import MOST_BYTES, read_pem
from workers.certificates.mutual_tls.refusing import RefusedUploadError
from workers.cli import mutual_tls_bundle, mutual_tls_roots
from workers.cli.key_options import actor, read_input
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, cell, console, print_json, print_rows
from workers.cli.session import open_session
from workers.database.pool import database_clock
from workers.errors import InvalidRequestError
from workers.organizations.store import organization_id

ClientFile = Annotated[Path, typer.Argument(help="PEM: the leaf, alone or with its issuers.")]
VersionOption = Annotated[
    int | None, typer.Option("--version", min=1, help="Only this version; default: all of them.")
]


class Port(StrEnum):
    """The model's ports, whatever they really are."""

    PLAIN = "443"
    MUTUAL = "8443"


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        no_args_is_help=True, help="Mutual TLS: accepted client certificates, and listeners."
    )
    group.command("enable")(enable)
    group.command("disable")(disable)
    mutual_tls_roots.register(group)
    group.command("check")(check)
    group.command("upload")(upload)
    group.command("list")(list_all)
    group.command("withdraw")(withdraw)
    group.command("decide")(decide)
    mutual_tls_bundle.register(group)
    app.add_typer(group, name="mutual-tls")


def enable(*, organization: OrganizationOption) -> None:
    """Switch mutual authentication on for an organization; it is off until then.

    Example: `keywright mutual-tls enable -o Acme`
    """
    with open_session() as connection:
        was_off = enabling.enable(
            connection,
            organization_id=organization_id(connection, organization),
            by=actor(),
            now=database_clock(connection),
        )
    console.print(f"Mutual authentication is on{'' if was_off else ' already'}.")


def disable(*, organization: OrganizationOption) -> None:
    """Switch mutual authentication off: no client certificate is accepted until it is on again.

    Roots and certificates stay as they are. Watched bundles follow within their interval.

    Example: `keywright mutual-tls disable -o Acme`
    """
    with open_session() as connection:
        was_on = enabling.disable(
            connection, organization_id=organization_id(connection, organization), by=actor()
        )
    console.print(f"Mutual authentication is off{'' if was_on else ' already'}.")


def check(
    file: ClientFile, *, organization: OrganizationOption, as_json: JsonOption = False
) -> None:
    """Say what `upload` would say of a file, every fault at once; nothing is kept.

    Example: `keywright mutual-tls check partner.pem -o Acme`
    """
    data = read_input(file, most_bytes=MOST_BYTES)
    with open_session() as connection:
        checked = uploading.check_upload(
            connection,
            organization_id=organization_id(connection, organization),
            data=data,
            source=str(file),
            now=database_clock(connection),
        )
    if as_json:
        print_json(
            {
                "acceptable": checked.found is not None,
                "not_after": checked.found.not_after if checked.found else None,
                "faults": checked.faults,
                "warnings": checked.warnings,
            }
        )
    else:
        _print_checked(checked)
    if checked.found is None:
        raise typer.Exit(code=1)


def upload(
    file: ClientFile,
    *,
    organization: OrganizationOption,
    name: Annotated[str | None, typer.Option(help="Unique name; default: from the label.")] = None,
    label: Annotated[str | None, typer.Option(help="Label; default: from the subject.")] = None,
    member: Annotated[
        str | None, typer.Option(help="E-mail of the one member who may present it.")
    ] = None,
    renews: Annotated[
        str | None, typer.Option(help="It is the next version of this one; both are accepted.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Accept a client certificate from now on. Its end is told of like any other's.

    Examples:
    `keywright mutual-tls upload partner.pem -o Acme --label "Partner's gateway"`

    `keywright mutual-tls upload new.pem -o Acme --renews partner`
    """
    data = read_input(file, most_bytes=MOST_BYTES)
    with open_session() as connection:
        owner = organization_id(connection, organization)
        uploaded = uploading.upload_client(
            connection,
            organization_id=owner,
            data=data,
            source=str(file),
            uploaded_by=actor(),
            now=database_clock(connection),
            member_id=store.find_member(connection, owner, member)[0] if member else None,
            unique_name=name,
            label=label,
            renews=renews,
        )
    if as_json:
        print_json(uploaded)
        return
    _print_warnings(uploaded.warnings)
    console.print(
        f"{uploaded.unique_name}, version {uploaded.version_number}, is accepted until"
        f" {cell(uploaded.not_after)}.",
        markup=False,
        soft_wrap=True,
    )


def list_all(*, organization: OrganizationOption, as_json: JsonOption = False) -> None:
    """List the client certificates, those withdrawn too.

    Example: `keywright mutual-tls list -o Acme`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        store.check_enabled(connection, owner)
        rows = store.list_clients(connection, owner)
    if as_json:
        print_json([_without_bytes(row) for row in rows])
        return
    print_rows(
        rows,
        {
            "unique_name": "Name",
            "version_number": "Version",
            "label": "Label",
            "issuer": "Issuer",
            "serial": "Serial",
            "not_after": "Until",
            "member_id": "Member",
            "withdrawn_at": "Withdrawn",
        },
        as_json=False,
        empty="There are no client certificates; `keywright mutual-tls upload` brings one in.",
    )


def withdraw(name: str, *, organization: OrganizationOption, version: VersionOption = None) -> None:
    """Accept a client certificate no longer; it stays in the inventory, and can be deleted there.

    Example: `keywright mutual-tls withdraw partner -o Acme --version 1`
    """
    with open_session() as connection:
        withdrawn = withdrawing.withdraw(
            connection,
            organization_id=organization_id(connection, organization),
            unique_name=name,
            version_number=version,
            by=actor(),
            now=database_clock(connection),
        )
    versions = ", ".join(str(each.version_number) for each in withdrawn)
    console.print(f"{withdrawn[0].unique_name}, version {versions}: withdrawn.", markup=False)


def decide(
    *,
    organization: OrganizationOption,
    member: Annotated[str, typer.Option(help="E-mail of the member who calls.")],
    port: Annotated[Port, typer.Option(help="443: no certificate is asked for; 8443: it is.")],
    certificate: Annotated[
        Path | None, typer.Option(help="PEM: what is presented, its leaf first.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a call would be accepted right now, and what the caller would be told if not.

    Example: `keywright mutual-tls decide -o Acme --member ana@example.org --port 8443
    --certificate partner.pem`
    """
    presented = None if certificate is None else _presented(certificate)
    with open_session() as connection:
        owner = organization_id(connection, organization)
        store.check_enabled(connection, owner)
        decision = decide_call(
            connection,
            organization_id=owner,
            email=member,
            door=Door(int(port)),
            presented=presented,
            now=database_clock(connection),
        )
    accepted = isinstance(decision, Accepted)
    if as_json:
        refusal = None if isinstance(decision, Accepted) else decision
        print_json(
            {
                "accepted": accepted,
                "certificate": decision.client if isinstance(decision, Accepted) else None,
                "reason": refusal and refusal.reason,
                "text": refusal and refusal.text,
            }
        )
    elif isinstance(decision, Accepted):
        client = decision.client
        said = f": {client.unique_name}, version {client.version_number}" if client else ""
        console.print(f"Accepted{said}.", markup=False)
    else:
        console.print(f"Refused. {decision.text}", markup=False, soft_wrap=True)
    if not accepted:
        raise typer.Exit(code=1)


def _presented(path: Path) -> PresentedCertificate:
    found, faults = read_pem(read_input(path, most_bytes=MOST_BYTES), source=str(path))
    if not found:
        raise RefusedUploadError("No certificate could be read", faults)
    if len({each.fingerprint for each in found}) < len(found):
        raise InvalidRequestError(f"{path} has one certificate twice; put the leaf first, once.")
    return PresentedCertificate(found[0].fingerprint)


def _print_checked(checked: CheckedClient) -> None:
    for fault in checked.faults:
        console.print(f"✗ {fault}", style="red", markup=False, soft_wrap=True)
    _print_warnings(checked.warnings)
    if checked.found is not None:
        console.print(
            f"Acceptable: {checked.found.subject}, until {cell(checked.found.not_after)}.",
            markup=False,
            soft_wrap=True,
        )


def _print_warnings(warnings: tuple[UploadFault, ...]) -> None:
    for warning in warnings:
        console.print(f"! {warning}", style="yellow", markup=False, soft_wrap=True)


def _without_bytes(row: store.ClientRow) -> dict[str, object]:
    return {name: value for name, value in asdict(row).items() if not name.endswith("_der")}
