"""``keywright key policy``."""

from typing import Annotated

import typer

from workers.cli.key_options import OnlyOrganization
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, console, print_rows
from workers.cli.session import open_session
from workers.keys.policy import (
    list_rotation_policies,
    remove_rotation_policy,
    set_rotation_policy,
)
from workers.organizations.store import organization_id


def register(group: typer.Typer) -> None:
    """Add the commands to ``keywright key``."""
    policy = typer.Typer(no_args_is_help=True, help="Policies: how often keys rotate.")
    policy.command("set")(set_)
    policy.command("list")(list_all)
    policy.command("remove")(remove)
    group.add_typer(policy, name="policy")


def set_(
    *,
    organization: OrganizationOption,
    every_days: Annotated[
        int, typer.Option(min=1, max=3650, help="How long a master key stays active.")
    ],
    no_reencrypt: Annotated[
        bool, typer.Option("--no-reencrypt", help="Leave values under the key that they are under.")
    ] = False,
) -> None:
    """Have an organization's master key rotate by itself, and its encrypted fields follow.

    The scheduler sees to it. One that was down for a while rotates once.

    Example: `keywright key policy set -o Acme --every-days 365`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        set_rotation_policy(
            connection, organization_id=owner, every_days=every_days, reencrypt=not no_reencrypt
        )
        [policy] = list_rotation_policies(connection, organization_id=owner)
    follows = (
        "and the encrypted fields follow" if policy.reencrypt else "values stay where they are"
    )
    console.print(
        f"The master key of {policy.organization} rotates every {policy.every_days} days;"
        f" {follows}.",
        markup=False,
        soft_wrap=True,
    )


def list_all(*, organization: OnlyOrganization = None, as_json: JsonOption = False) -> None:
    """List the rotation policies, and when each is due next."""
    with open_session() as connection:
        owner = None if organization is None else organization_id(connection, organization)
        rows = list_rotation_policies(connection, organization_id=owner)
    print_rows(
        rows,
        {
            "organization": "Organization",
            "every_days": "Every (days)",
            "reencrypt": "Fields follow",
            "active_number": "Active key",
            "due_at": "Due",
        },
        as_json=as_json,
        empty="There is no rotation policy; `keywright key policy set` makes one.",
    )


def remove(*, organization: OrganizationOption) -> None:
    """Have master keys rotate on request only, and before they wear out."""
    with open_session() as connection:
        remove_rotation_policy(
            connection, organization_id=organization_id(connection, organization)
        )
    console.print(f"{organization} has no rotation policy any more.", markup=False)
