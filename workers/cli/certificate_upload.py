"""``keywright certificate upload`` and ``keywright certificate history``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from workers.certificates.history import certificate_history
from workers.certificates.reading.contents import read_certificates
from workers.certificates.reading.folders import (
    FileTooLargeError,
    read_named_file,
    source_name,
    unreadable,
)
from workers.certificates.reading.found import Fault, FileReading
from workers.certificates.signing.findings import ChainFault
from workers.certificates.signing.refusal import ChainRefusedError
from workers.certificates.uploading import (
    Prepared,
    Upload,
    check,
    keep,
    prepare,
)
from workers.cli.certificate_session import open_certificate_session
from workers.cli.chain_ends import print_chain_ends
from workers.cli.key_options import actor
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, cell, console, print_json, print_table
from workers.cli.session import open_session
from workers.contract.certificates import LifetimeCaps
from workers.contract.chains import MAX_UPLOAD, UploadedChain
from workers.database.pool import database_clock
from workers.organizations.store import organization_id
from workers.settings import load_settings


def register(group: typer.Typer) -> None:
    """Add the commands to those on certificates."""
    group.command("upload")(upload)
    group.command("history")(history)


def upload(
    name: str,
    files: Annotated[
        list[Path], typer.Argument(help="Leaf and issuers in any order: PEM, DER or PKCS #7.")
    ],
    *,
    organization: OrganizationOption,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            help="Put up with extended_key_usage, missing_issuer, missing_name or surplus."
        ),
    ] = None,
    lifetime_caps: Annotated[
        LifetimeCaps | None,
        typer.Option(help="What to do about a TLS certificate that lasts too long."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what is wrong or would become of it; keep nothing."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Upload what an authority has signed: the certificate becomes usable, or is renewed.

    The chain is put in order and verified. Everything that is wrong is said at once, and the
    command then exits with 1; nothing was changed.

    Examples:
    `keywright certificate upload saml_signing signed.pem issuing-ca.pem -o Acme`

    `keywright certificate upload saml_signing bundle.p7b -o Acme --dry-run`
    """
    readings = tuple(_read(files))
    remarks = [
        f"{source_name(path)}: there is a private key in it, which was not read or stored"
        for path, reading in zip(files, readings, strict=True)
        if reading.holds_private_key
    ]
    asked = _Asked(name, organization, readings, tuple(accept or ()), lifetime_caps)
    try:
        outcome = _dry_run(asked) if dry_run else _upload(asked)
    except ChainRefusedError as error:
        if as_json:
            print_json(
                {
                    "unique_name": name,
                    "outcome": "refused",
                    "faults": error.faults,
                    "warnings": error.warnings,
                    "remarks": remarks,
                }
            )
        else:
            _say(remarks, error.warnings)
            for fault in error.faults:
                console.print(f"✗ {fault}", style="red", markup=False, soft_wrap=True)
            console.print(f"{name}: refused, nothing was changed.", markup=False)
        raise typer.Exit(code=1) from None
    if as_json:
        print_json(_as_json(outcome, remarks))
    else:
        _say(remarks, outcome.warnings)
        _report(outcome)


def history(name: str, *, organization: OrganizationOption, as_json: JsonOption = False) -> None:
    """Show every version of a certificate: its key, its dates, what took its place.

    Example: `keywright certificate history saml_signing -o Acme`
    """
    with open_session() as connection:
        versions = certificate_history(
            connection,
            organization_id=organization_id(connection, organization),
            unique_name=name,
            now=database_clock(connection),
        )
    if as_json:
        print_json(versions)
        return
    print_table(
        (
            "Version",
            "State",
            "Key of",
            "Valid from",
            "Until",
            "Since",
            "Replaced",
            "Used",
        ),
        (
            (
                str(each.version_number),
                each.state.replace("_", " "),
                cell(each.same_key_as),
                cell(each.not_before),
                cell(each.not_after),
                cell(each.known_since),
                cell(each.replaced_at),
                str(each.usages),
            )
            for each in versions
        ),
    )
    print_chain_ends(versions)


@dataclass(frozen=True)
class _Asked:
    name: str
    organization: str
    readings: Sequence[FileReading]
    accept: tuple[str, ...]
    lifetime_caps: LifetimeCaps | None

    def upload(self, owner: int) -> Upload:
        return Upload(
            organization_id=owner,
            unique_name=self.name,
            readings=self.readings,
            accept=self.accept,
            lifetime_caps=self.lifetime_caps,
        )


def _read(paths: Sequence[Path]) -> Iterator[FileReading]:
    """Read the files, up to the size that is allowed for all of them (rule 20)."""
    left = MAX_UPLOAD
    for path in paths:
        try:
            data = read_named_file(path, max_bytes=left)
        except FileTooLargeError:
            yield FileReading(
                faults=(
                    Fault(
                        source=source_name(path),
                        what=f"an upload has at most {MAX_UPLOAD:,} bytes in all",
                        how_to_fix="upload the leaf and its issuers only",
                    ),
                )
            )
        except OSError as error:
            yield FileReading(faults=(unreadable(path, error),))
        else:
            left -= len(data)
            yield read_certificates(data, source=source_name(path))


def _dry_run(asked: _Asked) -> Prepared:
    usual_caps = load_settings().lifetime_caps
    with open_session() as connection:
        owner = organization_id(connection, asked.organization)
        return check(
            connection,
            asked.upload(owner),
            now=database_clock(connection),
            usual_caps=usual_caps,
        )


def _upload(asked: _Asked) -> UploadedChain:
    with open_certificate_session() as (connection, tools):
        owner = organization_id(connection, asked.organization)
        now = database_clock(connection)
        prepared = prepare(connection, tools, asked.upload(owner), now=now)
        with connection.transaction():
            return keep(connection, tools, prepared, now=now, requested_by=actor())


def _say(remarks: Sequence[str], warnings: Sequence[ChainFault | str]) -> None:
    for remark in remarks:
        console.print(f"• {remark}", markup=False, soft_wrap=True)
    for warning in warnings:
        console.print(f"! {warning}", style="yellow", markup=False, soft_wrap=True)


def _as_json(outcome: Prepared | UploadedChain, remarks: Sequence[str]) -> dict[str, object]:
    if isinstance(outcome, UploadedChain):
        return outcome.model_dump(mode="json") | {"dry_run": False, "remarks": remarks}
    found = outcome.found
    return {
        "unique_name": outcome.unique_name,
        "outcome": outcome.outcome,
        "not_before": found.not_before,
        "not_after": found.not_after,
        "leaf_not_after": found.leaf_not_after,
        "ends_first": found.ends_first,
        "chain": outcome.subjects,
        "warnings": [str(each) for each in outcome.warnings],
        "dry_run": True,
        "remarks": remarks,
    }


_DONE = {
    "signed": "is usable now, with version {version}",
    "renewed": "is renewed, with version {version} and the same key",
    "there_already": "has this chain already, as version {version}",
}
_WOULD = {
    "signed": "would be usable",
    "renewed": "would be renewed, with the same key",
    "there_already": "has this chain already",
}


def _report(outcome: Prepared | UploadedChain) -> None:
    if isinstance(outcome, UploadedChain):
        chain = outcome.chain
        end = outcome.not_after
        said = _DONE[outcome.outcome].format(version=outcome.version_number)
        end_of = outcome.ends_first
    else:
        chain = outcome.subjects
        end = outcome.found.not_after
        said = _WOULD[outcome.outcome] + "; nothing was kept (dry run)"
        end_of = outcome.found.ends_first
    for place, subject in enumerate(chain, start=1):
        console.print(f"{place}. {subject}", markup=False, soft_wrap=True)
    console.print(f"{outcome.unique_name} {said}.", markup=False, soft_wrap=True)
    whose = f", when “{end_of}” of its chain does" if end_of else ""
    console.print(f"It ends on {cell(end)}{whose}.", markup=False, soft_wrap=True)
    if isinstance(outcome, UploadedChain) and outcome.still_used_in:
        console.print(
            f"Still to be switched to it: {', '.join(outcome.still_used_in)}.",
            markup=False,
            soft_wrap=True,
        )
