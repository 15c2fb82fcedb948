"""Options that the commands on SAML configurations share."""

from typing import Annotated

import typer

from workers.certificates.replacement.plan import VersionRef

NameArgument = Annotated[str, typer.Argument(help="Name of the configuration.")]
VersionOption = Annotated[
    int | None, typer.Option("--version", min=1, help="Default: the newest signed one.")
]
CertificateOption = Annotated[
    str | None,
    typer.Option("--certificate", "-c", help="Default: one that is made now, if need be."),
]


def version_ref(certificate: str | None, version: int | None) -> VersionRef | None:
    """Return the version that two options name; None where the first is not given."""
    if certificate is None:
        return None
    return VersionRef(unique_name=certificate, version_number=version)
