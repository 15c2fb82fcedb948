"""``keywright mutual-tls root``: the authorities whose clients may be accepted."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workers.certificates.mutual_tls import roots
from workers.certificates.mutual_tls.pem_only import MOST_BYTES
from workers.certificates.trusted_roots import RootRow
from workers.cli.key_options import actor, read_input
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, console, print_json, print_rows, print_table
from workers.cli.session import open_session
from workers.database.pool import database_clock
from workers.organizations.store import organization_id


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(no_args_is_help=True, help="The roots that clients must lead to.")
    group.command("add")(add)
    group.command("list")(list_all)
    group.command("remove")(remove)
    app.add_typer(group, name="root")


def add(
    file: Annotated[Path, typer.Argument(help="PEM: one root or several, all or none.")],
    *,
    organization: OrganizationOption,
    public: Annotated[
        bool | None,
        typer.Option(
            "--public/--private", help="Whether browsers trust it; default: as Mozilla lists it."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Trust the root of an authority that certifies clients.

    Example: `keywright mutual-tls root add partner-root.pem -o Acme`
    """
    data = read_input(file, most_bytes=MOST_BYTES)
    with open_session() as connection:
        added = roots.add_roots(
            connection,
            organization_id=organization_id(connection, organization),
            data=data,
            source=str(file),
            public=public,
            added_by=actor(),
            now=database_clock(connection),
        )
    if as_json:
        print_json(added)
        return
    print_table(
        ("Trusted root", "Public", "Fingerprint"),
        (
            (each.subject, "yes" if each.is_public else "no", each.fingerprint.hex()[:16])
            for each in added
        ),
    )


def list_all(*, organization: OrganizationOption, as_json: JsonOption = False) -> None:
    """List the trusted roots, and how many accepted clients lead to each.

    Example: `keywright mutual-tls root list -o Acme`
    """
    with open_session() as connection:
        rows = roots.list_roots(
            connection, organization_id=organization_id(connection, organization)
        )
    if as_json:
        print_json([_without_bytes(row) for row in rows])
        return
    print_rows(
        rows,
        {
            "subject": "Root",
            "not_after": "Until",
            "is_public": "Public",
            "clients": "Clients",
        },
        as_json=False,
        empty="No root is trusted yet; `keywright mutual-tls root add` adds one.",
    )
    for row in rows:
        console.print(f"{row.fingerprint.hex()}  {row.subject}", markup=False, soft_wrap=True)


def remove(
    fingerprint: Annotated[str, typer.Argument(help="At least 8 digits of it.")],
    *,
    organization: OrganizationOption,
    with_clients: Annotated[
        bool, typer.Option("--with-clients", help="Withdraw what leads to it, too.")
    ] = False,
) -> None:
    """Trust a root no longer.

    Example: `keywright mutual-tls root remove 5ac3b1f2 -o Acme --with-clients`
    """
    with open_session() as connection:
        removed = roots.remove_root(
            connection,
            organization_id=organization_id(connection, organization),
            fingerprint=fingerprint,
            with_clients=with_clients,
            removed_by=actor(),
            now=database_clock(connection),
        )
    console.print(f"{removed.subject} is trusted no longer.", markup=False, soft_wrap=True)


def _without_bytes(row: RootRow) -> dict[str, object]:
    return {name: value for name, value in asdict(row).items() if name != "certificate_der"}
