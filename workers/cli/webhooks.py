"""``keywright webhook``."""

from typing import Annotated

import typer

from workers.cli.certificate_session import open_certificate_session
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, cell, console, print_json, print_rows
from workers.cli.session import open_session
from workers.cli.webhook_deliveries import Name, list_all_deliveries, retry, send_test
from workers.errors import InvalidRequestError
from workers.organizations.store import organization_id
from workers.webhooks import endpoints, store
from workers.webhooks.destination import Destination


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        no_args_is_help=True, help="Webhooks: announcements by HTTPS, signed (Standard Webhooks)."
    )
    for name, command in (
        ("add", add),
        ("list", list_all),
        ("show", show),
        ("test", send_test),
        ("rotate-secret", rotate_secret),
        ("disable", disable),
        ("enable", enable),
        ("remove", remove),
        ("deliveries", list_all_deliveries),
        ("retry", retry),
    ):
        group.command(name)(command)
    app.add_typer(group, name="webhook")


def add(
    name: Name,
    url: Annotated[str, typer.Argument(help="Where to send to, such as https://example.org/in.")],
    *,
    organization: OrganizationOption,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", "-k", help="Only this kind, or all of a noun: certificate.*. Repeatable."
        ),
    ] = None,
    allow_private: Annotated[
        bool,
        typer.Option("--allow-private", help="Also within the own network, and without TLS."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell an address what is announced of an organization, from now on.

    Prints the secret that its messages are signed with. It is not shown again.

    Example: `keywright webhook add billing https://billing.example.org/keywright -o Acme
    -k 'certificate.*'`
    """
    with open_certificate_session() as (connection, tools):
        endpoint_id, secret = endpoints.add_endpoint(
            connection,
            tools.cipher,
            organization_id=organization_id(connection, organization),
            name=name,
            url=url,
            kinds=kind or (),
            allow_private=allow_private,
        )
    if as_json:
        print_json({"endpoint_id": endpoint_id, "name": name, "secret": secret})
    else:
        _print_secret(secret)


def list_all(*, organization: OrganizationOption, as_json: JsonOption = False) -> None:
    """List an organization's webhooks; of their URLs, what is no secret.

    Example: `keywright webhook list -o Acme`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        found = store.list_endpoints(connection, organization_id=owner)
    print_rows(
        [_shown(each) for each in found] if as_json else [_Row(each) for each in found],
        {
            "name": "Name",
            "goes_to": "Goes to",
            "kinds": "Kinds",
            "health": "State",
            "waiting": "Waiting",
            "given_up": "Given up",
        },
        as_json=as_json,
        empty="There are no webhooks; `keywright webhook add` adds one.",
    )


def show(name: Name, *, organization: OrganizationOption, as_json: JsonOption = False) -> None:
    """Show one webhook with its whole URL, its health and its secrets' ages.

    Example: `keywright webhook show billing -o Acme`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        found = endpoints.find_endpoint(connection, organization_id=owner, name=name)
        secrets = [
            {"created_at": each.created_at, "expires_at": each.expires_at}
            for each in store.valid_secrets(connection, found.endpoint_id)
        ]
    if as_json:
        print_json({**_shown(found), "url": found.url, "secrets": secrets})
        return
    row = _Row(found)
    lines = {
        "Name": found.name,
        "URL": found.url,
        "Kinds": row.kinds,
        "State": row.health,
        "Waiting": found.waiting,
        "Given up": found.given_up,
        "Private": "allowed" if found.allow_private else "not allowed",
        "Added": cell(found.created_at),
    }
    for label, value in lines.items():
        console.print(f"{label:10}{value}", markup=False, soft_wrap=True)
    for each in secrets:
        ends = f"signs until {cell(each['expires_at'])}" if each["expires_at"] else "signs"
        console.print(f"{'Secret':10}of {cell(each['created_at'])}, {ends}", markup=False)


def rotate_secret(
    name: Name,
    *,
    organization: OrganizationOption,
    overlap_hours: Annotated[
        int,
        typer.Option(
            min=0,
            max=endpoints.LONGEST_OVERLAP_HOURS,
            help="How long the former secret signs, too; 0 if it is in wrong hands.",
        ),
    ] = 24,
    as_json: JsonOption = False,
) -> None:
    """Give a webhook another secret and print it; it is not shown again.

    For a while every message has a signature of each, so that the receiver can change at ease.

    Example: `keywright webhook rotate-secret billing -o Acme`
    """
    with open_certificate_session() as (connection, tools):
        secret = endpoints.rotate_secret(
            connection,
            tools.cipher,
            organization_id=organization_id(connection, organization),
            name=name,
            overlap_hours=overlap_hours,
        )
    if as_json:
        print_json({"name": name, "secret": secret})
    else:
        _print_secret(secret)


def disable(name: Name, *, organization: OrganizationOption) -> None:
    """Tell a webhook nothing; what happens meanwhile is not sent later.

    Example: `keywright webhook disable billing -o Acme`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        endpoints.switch(connection, organization_id=owner, name=name, enabled=False)
    console.print(f"{name} is told nothing from now on.", markup=False)


def enable(name: Name, *, organization: OrganizationOption) -> None:
    """Tell a webhook what happens from now on, and what still waited for it.

    Example: `keywright webhook enable billing -o Acme`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        endpoints.switch(connection, organization_id=owner, name=name, enabled=True)
    console.print(f"{name} is told what happens from now on.", markup=False)


def remove(name: Name, *, organization: OrganizationOption) -> None:
    """Remove a webhook, with its secrets and all it was still to be told.

    Example: `keywright webhook remove billing -o Acme`
    """
    with open_session() as connection:
        owner = organization_id(connection, organization)
        endpoints.remove(connection, organization_id=owner, name=name)
    console.print(f"{name} is gone.", markup=False)


class _Row:
    """An endpoint in a table."""

    def __init__(self, endpoint: store.Endpoint) -> None:
        self.name = endpoint.name
        self.goes_to = _origin(endpoint)
        self.kinds = ", ".join(endpoint.kinds) or "all"
        self.waiting = endpoint.waiting
        self.given_up = endpoint.given_up
        if endpoint.disabled_at is not None:
            self.health = f"disabled since {cell(endpoint.disabled_at)}"
        elif endpoint.open_until is not None:
            self.health = f"failing, next try {cell(endpoint.open_until)}"
        else:
            self.health = "failing" if endpoint.failures else "well"


def _shown(endpoint: store.Endpoint) -> dict[str, object]:
    fields = {name: value for name, value in vars(endpoint).items() if name != "url"}
    return {**fields, "goes_to": _origin(endpoint)}


def _origin(endpoint: store.Endpoint) -> str:
    try:
        return Destination.from_url(endpoint.url, allow_private=endpoint.allow_private).origin
    except InvalidRequestError:
        return "nowhere: its URL is no longer allowed"


def _print_secret(secret: str) -> None:
    typer.echo(secret)
    console.print("This is its secret. It is not shown again.")
