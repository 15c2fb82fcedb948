"""``keywright key destroy | keep``."""

import sys
from datetime import timedelta
from typing import Annotated

import typer

from workers.cli.key_options import KeyNumber, ReasonOption, actor
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, cell, console, print_json
from workers.cli.session import open_session, operator
from workers.contract import DestroyMasterKey
from workers.database.open import open_database
from workers.database.pool import connect, database_clock
from workers.database.schema import check_schema
from workers.encryption.connections import Connections
from workers.errors import ConflictError, InvalidRequestError
from workers.jobs.enqueue import enqueue
from workers.keys.listing import KeyDetails, show_key
from workers.keys.states import State
from workers.organizations.store import organization_id
from workers.reencryption.destruction import (
    HOLD,
    KeyStillNeededError,
    Need,
    cancel_destruction,
    evidence,
    schedule_destruction,
)
from workers.settings import load_settings


def register(group: typer.Typer) -> None:
    """Add the commands to ``keywright key``."""
    group.command("destroy")(destroy)
    group.command("keep")(keep)


def destroy(
    number: KeyNumber,
    *,
    organization: OrganizationOption,
    after_days: Annotated[
        int,
        typer.Option(min=0, max=3650, help="How long to hold it; longer than backups are kept."),
    ] = HOLD.days,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask to type the key's name as confirmation.")
    ] = False,
    reason: ReasonOption = "asked for on the command line",
    as_json: JsonOption = False,
) -> None:
    """Schedule the end of an archived master key that nothing needs any more.

    Every registered field is searched for values under the key, now and again when its time has
    come; while there are any, or a run is not finished, it is kept, and you are told what needs it.
    Until then `keywright key keep` keeps it after all; afterwards only its export brings it back.

    Example: `keywright key destroy 1 -o Acme --after-days 30`
    """
    settings = load_settings()
    with (
        open_database(settings.database_url, settings.data_dir) as database,
        connect(database.conninfo, name="cli", acting=operator()) as connection,
    ):
        check_schema(connection)
        owner = organization_id(connection, organization)
        key = show_key(connection, owner, number)
        _check_state(key)
        connections = Connections(database.conninfo, settings.connections)
        _check_is_free(
            number, evidence(connection, connections, organization_id=owner, number=number)
        )
        if not yes:
            _confirm(key)
        at = database_clock(connection) + timedelta(days=after_days)
        with connection.transaction():
            schedule_destruction(
                connection,
                organization_id=owner,
                number=number,
                at=at,
                actor=actor(),
                reason=reason,
            )
            job_id = None
            if after_days == 0:
                # The hourly review would ask for the same job.
                request = DestroyMasterKey(key_number=number)
                job_id = enqueue(
                    connection, request, organization_id=owner, unique_key=f"key-{number}"
                ).job_id
    if as_json:
        print_json({"number": number, "destroy_at": at, "job_id": job_id})
    elif job_id is not None:
        console.print(f"Job {job_id} destroys master key {number} now.")
    else:
        console.print(
            f"Master key {number} will be destroyed after {cell(at)}, if nothing needs it then."
            " `keywright key keep` keeps it.",
            soft_wrap=True,
        )


def keep(number: KeyNumber, *, organization: OrganizationOption) -> None:
    """Keep a master key that was to be destroyed.

    Example: `keywright key keep 1 -o Acme`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        key = show_key(connection, owner, number)
        if key.destroy_at is None and key.state is not State.DESTROYED:
            raise ConflictError(
                f"Master key {number} is not to be destroyed; there is nothing to cancel."
            )
        cancel_destruction(connection, organization_id=owner, number=number, actor=actor())
    console.print(f"Master key {number} is kept.")


def _check_state(key: KeyDetails) -> None:
    if key.state is State.ACTIVE:
        raise ConflictError(
            f"Master key {key.number} is active, and only one that is not can be destroyed; rotate"
            " and re-encrypt first (`keywright key rotate --reencrypt`)."
        )
    if key.state is State.DESTROYED:
        raise ConflictError(f"Master key {key.number} is destroyed already.")


def _check_is_free(number: int, needs: list[Need]) -> None:
    if needs:
        raise KeyStillNeededError(
            f"Master key {number} is needed by {'; '.join(map(str, needs))}. Re-encrypt these"
            " (`keywright reencryption start`), then destroy it."
        )


def _confirm(key: KeyDetails) -> None:
    """Have a person type which key it is.

    Raises:
        InvalidRequestError: they type something else, or nobody is there.
    """
    if not sys.stdin.isatty():
        raise InvalidRequestError(
            "Nobody can be asked for a confirmation here; add --yes. Nothing was changed."
        )
    expected = f"{key.organization} {key.number}"
    typed = typer.prompt(
        "Values under a destroyed key can be read by nobody, here or in any backup, unless its"
        f" export is imported.\nType “{expected}” to destroy it"
    )
    if typed.strip() != expected:
        raise InvalidRequestError(f"That was not “{expected}”. Nothing was changed.")
