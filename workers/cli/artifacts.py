"""``keywright artifact`` and ``keywright secret``: what is handed over for jobs, and by them."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from workers.certificates.handover import fetch_artifact, hand_secret, keep_artifact
from workers.certificates.handover.artifacts import (
    delete_artifact,
    file_name_from,
    find_artifact,
    no_such_artifact,
)
from workers.certificates.handover.store import LONGEST_STAY_HOURS, list_artifacts, list_fetches
from workers.cli.certificate_session import open_certificate_session
from workers.cli.key_options import actor
from workers.cli.keystore_options import (
    KeystoreFile,
    PasswordFileOption,
    read_keystore_file,
    read_password,
)
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, cell, console, print_json, print_rows, print_table
from workers.cli.session import open_session
from workers.database.pool import Connection, database_clock
from workers.keys.new_file import new_private_file
from workers.organizations.store import list_members, organization_id

ArtifactId = Annotated[UUID, typer.Argument(help="As a job's result or `artifact list` says it.")]
HoursOption = Annotated[
    int, typer.Option(min=1, max=LONGEST_STAY_HOURS, help="How long it is kept.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    artifact = typer.Typer(
        no_args_is_help=True, help="Artifacts: files for jobs and from them, kept for a while."
    )
    artifact.command("add")(add)
    artifact.command("list")(list_all)
    artifact.command("show")(show)
    artifact.command("fetch")(fetch)
    artifact.command("delete")(delete)
    app.add_typer(artifact, name="artifact")
    secret = typer.Typer(
        no_args_is_help=True, help="Secrets handed over for jobs, which name only their ids."
    )
    secret.command("add")(add_secret)
    app.add_typer(secret, name="secret")


def add(
    file: KeystoreFile,
    *,
    organization: OrganizationOption,
    hours: HoursOption = 24,
    as_json: JsonOption = False,
) -> None:
    """Hand a keystore in for a job that imports it; it is kept encrypted, and returns its id.

    Example: `keywright artifact add acme.p12 -o Acme`
    """
    content = read_keystore_file(file)
    with open_certificate_session() as (connection, tools):
        artifact_id = keep_artifact(
            connection,
            tools.cipher,
            organization_id=organization_id(connection, organization),
            purpose="keystore_import",
            file_name=file_name_from(file.name),
            media_type="application/octet-stream",
            content=content,
            requested_by=actor(),
            expires_at=database_clock(connection) + timedelta(hours=hours),
        )
    _print_id("artifact", artifact_id, as_json=as_json)


def add_secret(
    *,
    organization: OrganizationOption,
    purpose: Annotated[str, typer.Option(help="What it is for, in a few words.")] = "keystore",
    password_file: PasswordFileOption = None,
    hours: HoursOption = 24,
    as_json: JsonOption = False,
) -> None:
    """Hand a password over for one job; it is kept encrypted until then, and returns its id.

    Example: `keywright secret add -o Acme --password-file password`
    """
    value = read_password(password_file, confirm=True)
    with open_certificate_session() as (connection, tools):
        secret_id = hand_secret(
            connection,
            tools.cipher,
            organization_id=organization_id(connection, organization),
            value=value,
            purpose=purpose,
            handed_by=actor(),
            expires_at=database_clock(connection) + timedelta(hours=hours),
        )
    _print_id("secret", secret_id, as_json=as_json)


def list_all(*, organization: OrganizationOption, as_json: JsonOption = False) -> None:
    """List an organization's artifacts, newest first; those whose content is gone, too.

    Example: `keywright artifact list -o Acme`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        rows = list_artifacts(connection, organization_id=owner)
    print_rows(
        rows,
        {
            "artifact_id": "Artifact",
            "file_name": "File",
            "requested_by": "Asked for by",
            "expires_at": "Expires",
            "is_there": "There",
            "fetches": "Fetches",
        },
        as_json=as_json,
        empty="There are no artifacts; a job `keystore.export` makes one.",
    )


def show(
    artifact: ArtifactId, *, organization: OrganizationOption, as_json: JsonOption = False
) -> None:
    """Show one artifact, who fetched it and who tried to.

    Example: `keywright artifact show 0d9a4a9e-52ad-4bd4-9a3c-61a6a9ab9f4f -o Acme`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        about = find_artifact(connection, owner, artifact)
        if about is None:
            raise no_such_artifact(artifact)
        fetches = list_fetches(connection, organization_id=owner, artifact_id=artifact)
    if as_json:
        print_json({"artifact": about, "fetches": fetches})
        return
    lines = {
        "Artifact": about.artifact_id,
        "File": f"{about.file_name} ({about.size_bytes:,} bytes, {about.media_type})",
        "SHA-256": about.sha256.hex(),
        "Purpose": about.purpose.replace("_", " "),
        "Asked for by": about.requested_by + (f", job {about.job_id}" if about.job_id else ""),
        "Made": cell(about.made_at),
        "Expires": cell(about.expires_at) if about.is_there else "its content is gone",
    }
    for name, value in lines.items():
        console.print(f"{name:14}{value}", markup=False, soft_wrap=True)
    if fetches:
        print_table(
            ("When", "Who", "Refused because"),
            (
                (cell(each.fetched_at), each.actor, (each.refused_because or "").replace("_", " "))
                for each in fetches
            ),
        )


def fetch(
    artifact: ArtifactId,
    *,
    organization: OrganizationOption,
    output: Annotated[Path, typer.Option(help="The new file; only you can read it (0600).")],
    as_member: Annotated[
        str | None,
        typer.Option(
            "--as", help="E-mail address of the active member, who manages certificates, you are."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write an artifact's content to a new file, for who asked for it or who manages certificates.

    Every fetch is on record, and every refusal.

    Example: `keywright artifact fetch 0d9a4a9e-52ad-4bd4-9a3c-61a6a9ab9f4f -o Acme
    --output acme.p12 --as ada@example.org`
    """
    with (
        open_certificate_session() as (connection, tools),
        new_private_file(output) as write,
    ):
        given = fetch_artifact(
            connection,
            tools.cipher,
            organization_id=organization_id(connection, organization),
            artifact_id=artifact,
            actor=actor() if as_member is None else _member(connection, organization, as_member),
        )
        write(given.content)
    if as_json:
        print_json({"file": str(output), "file_name": given.file_name, "bytes": len(given.content)})
    else:
        console.print(f"{output} holds {given.file_name}.", markup=False, soft_wrap=True)


def delete(
    artifact: ArtifactId, *, organization: OrganizationOption, as_json: JsonOption = False
) -> None:
    """Remove an artifact's content for good, before it expires.

    Example: `keywright artifact delete 0d9a4a9e-52ad-4bd4-9a3c-61a6a9ab9f4f -o Acme`
    """
    with open_session() as connection:
        delete_artifact(
            connection,
            organization_id=organization_id(connection, organization),
            artifact_id=artifact,
            actor=actor(),
        )
    if as_json:
        print_json({"artifact": artifact, "deleted": True})
    else:
        console.print(f"The content of artifact {artifact} is gone.", soft_wrap=True)


def _member(connection: Connection, organization: str, email: str) -> str:
    """Return a member as an actor; of a stranger, what will be refused and recorded like others."""
    for member in list_members(connection, organization):
        if member.email.lower() == email.lower():
            return f"member:{member.member_id}"
    return "member:unknown"


def _print_id(what: str, value: UUID, *, as_json: bool) -> None:
    if as_json:
        print_json({what: value})
    else:
        typer.echo(value)
