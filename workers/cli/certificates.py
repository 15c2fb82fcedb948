"""``keywright certificate``."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from workers.certificates.acknowledgement import acknowledge_replaced
from workers.certificates.reading.found import Reading
from workers.certificates.reading.paths import read_paths
from workers.certificates.showing import ShownCertificate, show_certificate
from workers.certificates.store import SavedImport, save_imported
from workers.certificates.versions import add_version
from workers.cli import (
    certificate_downloads,
    certificate_list,
    certificate_making,
    certificate_policies,
    certificate_upload,
)
from workers.cli.chain_ends import print_chain_ends
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, cell, console, print_json, print_table
from workers.cli.session import open_session
from workers.database.pool import Connection, database_clock
from workers.errors import InvalidRequestError
from workers.organizations.store import organization_id

_MOST_LINES = 30


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(no_args_is_help=True, help="Certificates: make, import, list, delete them.")
    certificate_making.register(group)
    certificate_downloads.register(group)
    certificate_upload.register(group)
    group.command("import")(import_certificates)
    certificate_list.register(group)
    group.command("show")(show)
    group.command("acknowledge")(acknowledge)
    certificate_policies.register(group)
    app.add_typer(group, name="certificate")


def import_certificates(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders; PEM, DER or PKCS #7.")],
    *,
    organization: OrganizationOption,
    known_since: Annotated[
        datetime | None,
        typer.Option(help="Since when you answer for them; older tiers are never told."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Unique name, for a single one.")] = None,
    label: Annotated[str | None, typer.Option(help="Label, for a single one.")] = None,
    chain: Annotated[
        bool, typer.Option("--chain", help="Each file is a leaf followed by its issuers.")
    ] = False,
    renews: Annotated[
        str | None, typer.Option(help="The one found is the next version of this certificate.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report what would be found; keep nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Import public certificates from files, bundles and whole folders.

    What is there already is recognised by its fingerprint. A broken entry does not stop the rest:
    all faults are reported at once, and the command then exits with 1.

    Examples:
    `keywright certificate import /etc/ssl/certs/ca-certificates.crt -o Acme`

    `keywright certificate import new.pem -o Acme --renews saml_signing`
    """
    reading = read_paths(paths, chain=chain)
    saved = SavedImport((), ())
    if reading.certificates and not dry_run:
        with open_session() as connection:
            owner = organization_id(connection, organization)
            now = database_clock(connection)
            if renews is not None:
                _renew(connection, owner, renews, reading, now)
            else:
                saved = save_imported(
                    connection,
                    organization_id=owner,
                    found=reading.certificates,
                    now=now,
                    known_since=known_since.astimezone() if known_since else None,
                    label=label,
                    unique_name=name,
                )
    if as_json:
        print_json(
            {
                "found": len(reading.certificates),
                "imported": saved.imported,
                "duplicates": saved.duplicates,
                "renewed": renews,
                "faults": reading.faults,
                "remarks": reading.remarks,
                "ignored": reading.ignored,
                "limits": reading.limits,
                "dry_run": dry_run,
            }
        )
    else:
        _report(reading, saved, renews=renews, dry_run=dry_run)
    if reading.faults or not reading.certificates:
        raise typer.Exit(code=1)


def _renew(connection: Connection, owner: int, name: str, reading: Reading, now: datetime) -> None:
    if len(reading.certificates) != 1:
        raise InvalidRequestError(
            f"--renews takes one certificate, {len(reading.certificates)} were found; name the file"
            " that holds it, or add --chain for a leaf with its issuers. Nothing was changed."
        )
    add_version(
        connection,
        organization_id=owner,
        unique_name=name,
        found=reading.certificates[0],
        now=now,
    )


def _report(reading: Reading, saved: SavedImport, *, renews: str | None, dry_run: bool) -> None:
    for fault in reading.faults:
        console.print(f"✗ {fault}", style="red", markup=False, soft_wrap=True)
    for remark in reading.remarks:
        console.print(f"• {remark.source}: {remark.text}", markup=False, soft_wrap=True)
    for limit in reading.limits:
        console.print(f"! {limit}", style="yellow", markup=False, soft_wrap=True)
    if saved.imported:
        print_table(
            ("Name", "Label", "File", "Entry"),
            (
                (each.unique_name, each.label, each.source, str(each.position))
                for each in saved.imported[:_MOST_LINES]
            ),
        )
        if len(saved.imported) > _MOST_LINES:
            console.print(f"… and {len(saved.imported) - _MOST_LINES} more.")
    summary = [f"{len(reading.certificates)} certificates found"]
    if dry_run:
        summary.append("nothing kept (dry run)")
    elif renews is not None:
        summary.append(f"{renews} has a new version")
    else:
        summary.append(f"{len(saved.imported)} imported")
        summary.append(f"{len(saved.duplicates)} there already")
    summary.append(f"{len(reading.faults)} faults")
    if reading.ignored:
        summary.append(f"{len(reading.ignored)} other files ignored")
    console.print(", ".join(summary) + ".")


def show(name: str, *, organization: OrganizationOption, as_json: JsonOption = False) -> None:
    """Show one certificate: its versions, where it is used, and what was told and will be.

    Example: `keywright certificate show saml_signing -o Acme`
    """
    with open_session() as connection:
        shown = show_certificate(
            connection,
            organization_id=organization_id(connection, organization),
            unique_name=name,
        )
    if as_json:
        print_json(shown)
    else:
        _print_shown(shown)


def acknowledge(name: str, *, organization: OrganizationOption) -> None:
    """Let replaced versions of a certificate warn no more although places still have them.

    Example: `keywright certificate acknowledge saml_signing -o Acme`
    """
    with open_session() as connection:
        versions = acknowledge_replaced(
            connection,
            organization_id=organization_id(connection, organization),
            unique_name=name,
            now=database_clock(connection),
        )
    console.print(f"Acknowledged: {versions} replaced versions of {name} warn no more.")


def _print_shown(shown: ShownCertificate) -> None:
    console.print(f"{shown.unique_name}  “{shown.label}”, {_kind(shown)}", markup=False)
    print_table(
        ("Version", "Valid from", "Until", "Key", "Serial", "Issuer", "Replaced"),
        (
            (
                str(version.version_number),
                cell(version.not_before),
                cell(version.not_after),
                " ".join(str(part) for part in (version.key_algorithm, version.key_size) if part),
                cell(version.serial),
                cell(version.issuer),
                cell(version.replaced_at),
            )
            for version in shown.versions
        ),
    )
    print_chain_ends(shown.versions)
    if shown.usages:
        print_table(
            ("Used in", "Version", "To be switched"),
            (
                (f"{use.place_kind}: {use.place}", str(use.version_number), cell(use.replaced))
                for use in shown.usages
            ),
        )
    else:
        console.print("Used nowhere that keywright knows of.")
    print_table(
        ("Version", "Tier (days)", "Due", "What became of it"),
        (
            (
                str(tier.version_number),
                str(tier.tier_days),
                cell(tier.due_at),
                (tier.outcome or "still to come").replace("_", " "),
            )
            for tier in shown.tiers
        ),
    )


def _kind(shown: ShownCertificate) -> str:
    words = shown.kind.replace("_", "-")
    if shown.made_from is not None:
        words += f", profile {shown.made_from['profile']}"
    if any(version.has_private_key for version in shown.versions):
        may = "may" if shown.private_key_exportable else "may not"
        words += f"; its private key is kept encrypted and {may} leave in a keystore"
    return words
