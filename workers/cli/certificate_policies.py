"""``keywright certificate delete | restore | policy``."""

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from workers.certificates.clean_up.store import find_expired
from workers.certificates.deletion import delete_certificate
from workers.certificates.policies import CertificatePolicy, load_policy, save_policy
from workers.certificates.restoring import list_deleted, restore_certificate
from workers.certificates.review.store import rekeys_due
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, cell, console, print_json
from workers.cli.session import open_session
from workers.database.pool import database_clock
from workers.errors import InvalidRequestError
from workers.organizations.store import organization_id

_MOST_COUNTED = 1000


@dataclass(frozen=True, kw_only=True)
class ShownPolicy(CertificatePolicy):
    """A policy, with how much is due by it right now, up to a thousand of each."""

    to_rekey: int
    to_delete: int


def register(group: typer.Typer) -> None:
    """Add the commands to ``keywright certificate``."""
    group.command("delete")(delete)
    group.command("restore")(restore)
    policy = typer.Typer(
        no_args_is_help=True, help="Policies: what happens to certificates by itself."
    )
    policy.command("show")(show)
    policy.command("set")(set_)
    group.add_typer(policy, name="policy")


def delete(name: str, *, organization: OrganizationOption) -> None:
    """Delete a certificate that nothing uses; its pending notices are cancelled.

    During the days of grace of the organization's policy it can be restored.

    Example: `keywright certificate delete legacy_sso -o Acme`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        deleted_id = delete_certificate(
            connection, organization_id=owner, unique_name=name, now=database_clock(connection)
        )
        rows = list_deleted(connection, organization_id=owner)
    purge_at = next((row.purge_at for row in rows if row.certificate_id == deleted_id), None)
    console.print(
        f"Deleted {name}; until {cell(purge_at)} `keywright certificate restore {name}"
        f" -o {organization}` brings it back.",
        markup=False,
        soft_wrap=True,
    )


def restore(
    name: Annotated[str, typer.Argument(help="The name that it had.")],
    *,
    organization: OrganizationOption,
    new_name: Annotated[
        str | None, typer.Option("--as", help="A new unique name, where the old one is taken.")
    ] = None,
    certificate_id: Annotated[
        int | None, typer.Option("--id", min=1, help="Which of several; default: deleted last.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a deleted certificate back as it was, with its versions and private keys.

    Examples:
    `keywright certificate restore legacy_sso -o Acme`

    `keywright certificate restore legacy_sso -o Acme --as old_sso`
    """
    with open_session() as connection:
        restored = restore_certificate(
            connection,
            organization_id=organization_id(connection, organization),
            unique_name=name,
            new_name=new_name,
            certificate_id=certificate_id,
        )
    if as_json:
        print_json(restored)
    else:
        console.print(f"{restored.unique_name} is back.", markup=False)


def show(*, organization: OrganizationOption, as_json: JsonOption = False) -> None:
    """Show what happens to an organization's certificates by itself, and what is due now.

    Example: `keywright certificate policy show -o Acme`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        now = database_clock(connection)
        policy = ShownPolicy(
            **asdict(load_policy(connection, organization_id=owner)),
            to_rekey=len(
                rekeys_due(connection, now=now, limit=_MOST_COUNTED, organization_id=owner)
            ),
            to_delete=len(
                find_expired(connection, now=now, limit=_MOST_COUNTED, organization_id=owner)
            ),
        )
    if as_json:
        print_json(policy)
    else:
        _print(policy)
        console.print(f"Due now: {policy.to_rekey} to rekey, {policy.to_delete} to delete.")


def set_(
    *,
    organization: OrganizationOption,
    rekey_days_before: Annotated[
        int | None,
        typer.Option(help="New key pairs so many days before the end, 1 to 365."),
    ] = None,
    no_rekey: Annotated[bool, typer.Option("--no-rekey", help="No new key pairs.")] = False,
    delete_expired_after_days: Annotated[
        int | None,
        typer.Option(help="Delete what ended so many days ago and is used nowhere, 0 to 3650."),
    ] = None,
    keep_expired: Annotated[
        bool, typer.Option("--keep-expired", help="Delete on request only.")
    ] = False,
    grace_days: Annotated[
        int | None, typer.Option(help="How long what was deleted can be restored, 0 to 3650.")
    ] = None,
) -> None:
    """Have self-signed certificates rekeyed, and expired ones deleted; what is left out stays.

    The scheduler sees to it: every hour for new key pairs, every night for the rest.

    Example: `keywright certificate policy set -o Acme --rekey-days-before 30`
    """
    if no_rekey and rekey_days_before is not None:
        raise InvalidRequestError("--rekey-days-before, --no-rekey: one of the two.")
    if keep_expired and delete_expired_after_days is not None:
        raise InvalidRequestError("--delete-expired-after-days, --keep-expired: one of the two.")
    with open_session() as connection:
        owner = organization_id(connection, organization)
        before = load_policy(connection, organization_id=owner)
        save_policy(
            connection,
            organization_id=owner,
            rekey_days_before=_days(rekey_days_before, before.rekey_days_before, never=no_rekey),
            delete_expired_after_days=_days(
                delete_expired_after_days, before.delete_expired_after_days, never=keep_expired
            ),
            grace_days=before.grace_days if grace_days is None else grace_days,
        )
        policy = load_policy(connection, organization_id=owner)
    _print(policy)


def _days(given: int | None, before: int | None, *, never: bool) -> int | None:
    if never:
        return None
    return before if given is None else given


def _print(policy: CertificatePolicy) -> None:
    rekey, delete = policy.rekey_days_before, policy.delete_expired_after_days
    lines = (
        "Self-signed certificates are rekeyed on request only."
        if rekey is None
        else f"Self-signed certificates are rekeyed {rekey} days before their end, or when a third"
        " of their life is left.",
        "Expired certificates are deleted on request only."
        if delete is None
        else f"Expired certificates that nothing uses are deleted after {delete} days.",
        f"What was deleted can be restored for {policy.grace_days} days.",
    )
    for line in lines:
        console.print(line, soft_wrap=True)
