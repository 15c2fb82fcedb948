"""``keywright key``: what keys there are, and their life but for destruction."""

from dataclasses import asdict
from typing import Annotated

import typer

from workers.cli import key_destruction, key_material, key_policies, root_keys
from workers.cli.key_options import (
    KeyNumber,
    OnlyOrganization,
    ReasonOption,
    ReencryptOption,
    actor,
    print_rotated,
    what_follows,
)
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, cell, console, print_json, print_table
from workers.cli.session import open_session
from workers.composition import configured_root_keys
from workers.contract import StartReencryption
from workers.jobs.enqueue import enqueue
from workers.keys import withdrawal
from workers.keys.listing import KeyDetails, Move, key_history, list_keys, show_key
from workers.keys.rotation_by_hand import rotate_by_hand
from workers.organizations.store import organization_id
from workers.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        no_args_is_help=True, help="Master keys: rotate, export, import and destroy them."
    )
    group.command("list")(list_all)
    group.command("show")(show)
    group.command("rotate")(rotate)
    key_material.register(group)
    group.command("suspend")(suspend)
    group.command("reinstate")(reinstate)
    group.command("compromise")(compromise)
    key_destruction.register(group)
    root_keys.register(group)
    key_policies.register(group)
    app.add_typer(group, name="key")


def list_all(*, organization: OnlyOrganization = None, as_json: JsonOption = False) -> None:
    """List the master keys; the destroyed ones, too: their numbers are never used again.

    Example: `keywright key list -o Acme`
    """
    with open_session() as connection:
        owner = None if organization is None else organization_id(connection, organization)
        rows = list_keys(connection, organization_id=owner)
    if as_json:
        print_json(rows)
    elif rows:
        _print_keys(rows, with_organization=len({key.organization_id for key in rows}) > 1)
    else:
        console.print(
            "There are no master keys yet; `keywright key rotate` makes one, and so does the first"
            " value that is encrypted."
        )


def show(
    number: KeyNumber, *, organization: OrganizationOption, as_json: JsonOption = False
) -> None:
    """Show one master key and every move of it: who, when and why.

    Example: `keywright key show 1 -o Acme`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        key = show_key(connection, owner, number)
        history = key_history(connection, owner, number)
    if as_json:
        print_json({**asdict(key), "history": history})
    else:
        _print_key(key, history)


def rotate(
    *,
    organization: OrganizationOption,
    reencrypt: ReencryptOption = False,
    reason: ReasonOption = "asked for on the command line",
    as_json: JsonOption = False,
) -> None:
    """Archive the active master key and let a new one take its place, in one step.

    An organization without any key gets its first. What is encrypted stays readable, and stays
    under its key until it is re-encrypted.

    Example: `keywright key rotate -o Acme --reencrypt --reason "yearly rotation"`
    """
    keys = configured_root_keys(load_settings())
    with open_session() as connection:
        rotated = rotate_by_hand(
            connection,
            keys,
            organization_id=organization_id(connection, organization),
            actor=actor(),
            reason=reason,
            reencrypt=reencrypt,
        )
    print_rotated(rotated, as_json=as_json)


def suspend(
    number: KeyNumber,
    *,
    organization: OrganizationOption,
    reason: ReasonOption = "asked for on the command line",
) -> None:
    """Keep an archived master key from being used for now: its values cannot be read meanwhile.

    Example: `keywright key suspend 1 -o Acme --reason "who has read this?"`
    """
    with open_session() as connection:
        withdrawal.suspend(
            connection,
            organization_id=organization_id(connection, organization),
            number=number,
            actor=actor(),
            reason=reason,
        )
    console.print(
        f"Master key {number} is suspended; every process knows within a minute. `keywright key"
        " reinstate` lets it be used again.",
        soft_wrap=True,
    )


def reinstate(
    number: KeyNumber,
    *,
    organization: OrganizationOption,
    reason: ReasonOption = "asked for on the command line",
) -> None:
    """Let a suspended master key be used again: it is archived, and its values can be read.

    Example: `keywright key reinstate 1 -o Acme`
    """
    with open_session() as connection:
        withdrawal.reinstate(
            connection,
            organization_id=organization_id(connection, organization),
            number=number,
            actor=actor(),
            reason=reason,
        )
    console.print(f"Master key {number} is archived again.")


def compromise(
    number: KeyNumber,
    *,
    organization: OrganizationOption,
    reason: Annotated[str, typer.Option(help="What happened; kept with the key.")],
    reencrypt: ReencryptOption = False,
    as_json: JsonOption = False,
) -> None:
    """Record that others may know a master key; an active one gives way to a new one at once.

    Its values stay readable, and should be re-encrypted soon.

    Example: `keywright key compromise 2 -o Acme --reason "laptop stolen" --reencrypt`
    """
    keys = configured_root_keys(load_settings())
    with open_session() as connection:
        owner = organization_id(connection, organization)
        rotated = withdrawal.compromise(
            connection,
            keys,
            organization_id=owner,
            number=number,
            actor=actor(),
            reason=reason,
        )
        job = None
        if reencrypt:
            job = enqueue(
                connection,
                StartReencryption(),
                organization_id=owner,
                unique_key=f"to-{rotated.number}",
            ).job_id
    if as_json:
        print_json({"number": number, "active_number": rotated.number, "reencryption_job": job})
        return
    console.print(f"Master key {number} is compromised, {rotated.number} is active.")
    console.print(what_follows(job))


def _print_keys(rows: list[KeyDetails], *, with_organization: bool) -> None:
    headings = ("Number", "State", "Since", "Origin", "Check value", "Uses", "Root keys")
    print_table(
        (*(("Organization",) if with_organization else ()), *headings, "Destruction"),
        (
            (
                *((key.organization,) if with_organization else ()),
                str(key.number),
                _words(key.state),
                cell(key.state_since),
                key.origin,
                key.check_value.hex(),
                f"{key.uses_leased:,}",
                ", ".join(key.root_keys),
                cell(key.destroy_at),
            )
            for key in rows
        ),
    )


def _print_key(key: KeyDetails, history: list[Move]) -> None:
    lines = {
        "Organization": key.organization,
        "Number": key.number,
        "State": f"{_words(key.state)} since {cell(key.state_since)}",
        "Origin": key.origin,
        "Created": cell(key.created_at),
        "Check value": key.check_value.hex(),
        "Fingerprint": key.fingerprint.hex(),
        "Uses": f"{key.uses_leased:,} of {2**32:,} at most",
        "Root keys": ", ".join(key.root_keys) or "none: the material is gone",
        "Destruction": cell(key.destroy_at) or "not scheduled",
    }
    for name, value in lines.items():
        console.print(f"{name:14}{value}", markup=False, soft_wrap=True)
    print_table(
        ("When", "From", "To", "Who", "Why"),
        (
            (
                cell(move.moved_at),
                _words(move.from_state or ""),
                _words(move.to_state),
                move.actor,
                move.reason,
            )
            for move in history
        ),
    )


def _words(state: str) -> str:
    return state.replace("_", " ")
