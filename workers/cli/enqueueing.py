"""``keywright enqueue``."""

import json
from datetime import datetime
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from workers.cli.output import JsonOption, console, print_json
from workers.cli.session import open_session
from workers.cli.waiting import check_succeeded, describe_success, wait_for_job
from workers.contract import JOB_REQUESTS, JobRequest
from workers.errors import InvalidRequestError
from workers.jobs.enqueue import enqueue
from workers.organizations.store import organization_id

_KINDS = {request.kind: request for request in JOB_REQUESTS}


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    kinds = "\n".join(
        f"- `{kind}`: {(request.__doc__ or '').splitlines()[0]}" for kind, request in _KINDS.items()
    )
    app.command(
        "enqueue",
        help=(
            "Ask for a job.\n\n"
            "Example: `keywright enqueue certificate.generate -o Acme -a label=Web --wait --json`"
            "\n\nPrints the job's number, and with --wait and --json all that became of it. Other"
            " systems ask in SQL, in Python or by messages, for what they were granted.\n\n"
            f"Kinds:\n\n{kinds}"
        ),
    )(enqueue_job)


def enqueue_job(
    kind: Annotated[str, typer.Argument(help="What is to be done: one of the kinds above.")],
    *,
    argument: Annotated[
        list[str] | None,
        typer.Option("--argument", "-a", help="name=value; the value may be JSON. Repeatable."),
    ] = None,
    organization: Annotated[
        str | None, typer.Option("--organization", "-o", help="On whose behalf.")
    ] = None,
    unique_key: Annotated[
        str | None, typer.Option(help="Find an unfinished job with this key instead of a second.")
    ] = None,
    run_at: Annotated[
        datetime | None, typer.Option(help="Not before this time, local unless it says otherwise.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until it is finished; exit 1 if it fails.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask for a job."""
    request = _read_request(kind, argument or [])
    with open_session() as connection:
        owner = None if organization is None else organization_id(connection, organization)
        enqueued = enqueue(
            connection,
            request,
            organization_id=owner,
            unique_key=unique_key,
            run_at=None if run_at is None else run_at.astimezone(),
        )
        if not wait:
            if as_json:
                print_json(enqueued)
            else:
                found = "" if enqueued.created else " (an unfinished one with this key)"
                console.print(f"Job {enqueued.job_id}{found}.")
            return
        job = wait_for_job(connection, enqueued.job_id, quiet=as_json)
    if as_json:
        print_json(job)
    check_succeeded(job)
    if not as_json:
        console.print(describe_success(job), markup=False)


def _read_request(kind: str, arguments: list[str]) -> JobRequest:
    if kind not in _KINDS:
        raise InvalidRequestError(
            f"There is no kind of job called {kind}; there are: {', '.join(sorted(_KINDS))}."
        )
    given: dict[str, Any] = {}
    for each in arguments:
        name, separator, value = each.partition("=")
        if not separator:
            raise InvalidRequestError(f"--argument {name}: write it as name=value.")
        try:
            given[name] = json.loads(value)
        except ValueError:
            given[name] = value
    try:
        return _KINDS[kind].model_validate(given)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise InvalidRequestError(f"Arguments of {kind}: {faults}. Nothing was enqueued.") from None
