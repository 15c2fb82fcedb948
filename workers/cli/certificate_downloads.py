"""``keywright certificate csr | download``: public parts, as files for others."""

from pathlib import Path
from typing import Annotated

import typer

from workers.certificates.downloading import Download, download_certificate, download_request
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, console, print_json
from workers.cli.session import open_session
from workers.keys.new_file import new_private_file
from workers.organizations.store import organization_id

NameArgument = Annotated[str, typer.Argument(help="Unique name of the certificate.")]
VersionOption = Annotated[
    int | None,
    typer.Option("--version", min=1, help="Which version; by default the newest that has one."),
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", help="The new file; by default named after the certificate, here."),
]


def register(group: typer.Typer) -> None:
    """Add the commands to ``keywright certificate``."""
    group.command("csr")(csr)
    group.command("download")(download)


def csr(
    name: NameArgument,
    *,
    organization: OrganizationOption,
    version: VersionOption = None,
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the request that a CA is to sign, or has signed, to a file (PEM).

    Example: `keywright certificate csr Shop -o Acme`
    """
    with open_session() as connection:
        found = download_request(
            connection,
            organization_id=organization_id(connection, organization),
            unique_name=name,
            version_number=version,
        )
    _write(found, output, as_json=as_json)


def download(
    name: NameArgument,
    *,
    organization: OrganizationOption,
    version: VersionOption = None,
    leaf_only: Annotated[
        bool, typer.Option("--leaf-only", help="Without the issuers that came with it.")
    ] = False,
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a certificate with its issuers to a file (PEM), for whoever is to trust it.

    Example: `keywright certificate download SAML_signing -o Acme --output acme-saml.crt`
    """
    with open_session() as connection:
        found = download_certificate(
            connection,
            organization_id=organization_id(connection, organization),
            unique_name=name,
            version_number=version,
            with_chain=not leaf_only,
        )
    _write(found, output, as_json=as_json)


def _write(found: Download, output: Path | None, *, as_json: bool) -> None:
    path = output or Path(found.file_name)
    with new_private_file(path) as write:
        write(found.content)
    # What is in it may be known to everybody, and a server of another user has to read it.
    path.chmod(0o644)
    if as_json:
        print_json({"file": str(path), "content": found.content.decode()})
    else:
        console.print(f"Wrote {path}.", markup=False, soft_wrap=True)
