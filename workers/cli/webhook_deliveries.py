"""``keywright webhook test``, ``deliveries`` and ``retry``: what became of what was announced."""

import time
from typing import Annotated, Literal

import typer

from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, console, print_json, print_rows
from workers.cli.session import open_session
from workers.errors import TransientError
from workers.organizations.store import organization_id
from workers.webhooks import endpoints
from workers.webhooks.deliveries import Delivery, list_deliveries

Name = Annotated[str, typer.Argument(help="Of the webhook, such as billing.")]
State = Literal["waiting", "delivered", "given_up"]

_PAUSE_SECONDS = 0.1


class TestNotAcceptedError(TransientError):
    """The test was not tried in time, or not accepted."""

    code = "webhook-test-failed"
    title = "The test of a webhook was not accepted"


def send_test(
    name: Name,
    *,
    organization: OrganizationOption,
    wait: Annotated[
        float, typer.Option(min=0, max=600, help="Seconds to wait for the answer; 0: do not.")
    ] = 30,
    as_json: JsonOption = False,
) -> None:
    """Send `webhook.tested` to one webhook, by the workers as any other announcement.

    Example: `keywright webhook test billing -o Acme`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        endpoint_id, sequence = endpoints.announce_test(
            connection, organization_id=owner, name=name
        )
        give_up_at = time.monotonic() + wait
        while True:
            [found] = list_deliveries(connection, endpoint_id, sequence=sequence, limit=1)
            if found.attempt or found.last_error or time.monotonic() >= give_up_at:
                break
            time.sleep(_PAUSE_SECONDS)
    if as_json:
        print_json(found)
    elif found.state == "delivered":
        console.print(f"{name} accepted the test.", markup=False)
    elif not wait:
        console.print(f"The test is announcement {sequence}.", markup=False)
    if wait and found.state != "delivered":
        raise TestNotAcceptedError(_why_not(name, found))


def list_all_deliveries(
    name: Name,
    *,
    organization: OrganizationOption,
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List what became of the latest announcements at a webhook, newest first.

    Example: `keywright webhook deliveries billing -o Acme --state given_up`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        found = endpoints.find_endpoint(connection, organization_id=owner, name=name)
        rows = list_deliveries(connection, found.endpoint_id, state=state, limit=limit)
    print_rows(
        rows,
        {
            "sequence": "Number",
            "kind": "Kind",
            "subject": "Subject",
            "state": "State",
            "attempt": "Attempts",
            "next_at": "Next",
            "last_error": "Said last",
        },
        as_json=as_json,
        empty="There are no such deliveries.",
    )


def retry(
    name: Name,
    *,
    organization: OrganizationOption,
    announcement: Annotated[
        int | None, typer.Option(min=1, help="Only this one, also if it was accepted.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Send anew what was given up, and try at once what waits.

    Example: `keywright webhook retry billing -o Acme`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        again = endpoints.retry(connection, organization_id=owner, name=name, sequence=announcement)
    if as_json:
        print_json({"again": again})
    else:
        console.print(f"{again:,} are sent anew; what waits is tried at once.", markup=False)


def _why_not(name: str, delivery: Delivery) -> str:
    if delivery.last_error is None:
        return (
            f"The test of {name} was not tried in time; see whether scheduler and workers run"
            " (`keywright status`) and whether the webhook rests (`keywright webhook show`)."
        )
    return f"The test of {name} was not accepted: {delivery.last_error}"
