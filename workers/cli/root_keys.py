"""``keywright key root-keys | rewrap | retire-root-key``: one root key in the place of another."""

from typing import Annotated

import typer

from workers.cli.output import JsonOption, console, print_json, print_rows
from workers.cli.session import open_session
from workers.cli.waiting import check_succeeded, describe_success, wait_for_job
from workers.composition import configured_root_keys
from workers.contract import RewrapMasterKeys
from workers.jobs.enqueue import enqueue
from workers.keys.retiring import retire_root_key, root_keys_in_use
from workers.settings import load_settings


def register(group: typer.Typer) -> None:
    """Add the commands to ``keywright key``."""
    group.command("root-keys")(list_root_keys)
    group.command("rewrap")(rewrap)
    group.command("retire-root-key")(retire)


def list_root_keys(*, as_json: JsonOption = False) -> None:
    """List the root keys that wrap master and sealing keys, and how many need each alone."""
    keys = configured_root_keys(load_settings())
    with open_session() as connection:
        rows = root_keys_in_use(connection, current=keys.current.identifier)
    print_rows(
        rows,
        {
            "identifier": "Root key",
            "is_current": "In use",
            "wraps": "Wraps",
            "only_here": "Alone",
        },
        as_json=as_json,
        empty="Nothing is wrapped yet.",
    )


def rewrap(
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until it is finished; exit 1 if it fails.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Wrap every master key under the root key in use, too; the older wraps stay. Workers do it.

    Example: `keywright key rewrap --wait`
    """
    with open_session() as connection:
        enqueued = enqueue(connection, RewrapMasterKeys(), unique_key="all")
        job = wait_for_job(connection, enqueued.job_id, quiet=as_json) if wait else None
    if as_json:
        print_json(job or enqueued)
    if job is not None:
        check_succeeded(job)
    if not as_json:
        console.print(
            describe_success(job)
            if job is not None
            else f"Job {enqueued.job_id}; see `keywright job show {enqueued.job_id}`.",
            markup=False,
        )


def retire(
    identifier: Annotated[str, typer.Argument(help="As `keywright key root-keys` shows it.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Delete the wraps under a former root key; refused while any key needs it.

    Example: `keywright key retire-root-key file:0123456789abcdef`
    """
    keys = configured_root_keys(load_settings())
    with open_session() as connection:
        deleted = retire_root_key(connection, identifier, current=keys.current.identifier)
    if as_json:
        print_json({"root_key": identifier, "deleted_wraps": deleted})
    else:
        console.print(
            f"{identifier} is retired: {deleted} wraps were deleted. Take it out of"
            " KEYWRIGHT_FORMER_ROOT_KEY.",
            markup=False,
            soft_wrap=True,
        )
