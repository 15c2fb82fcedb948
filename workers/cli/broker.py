"""``keywright broker``: what RabbitMQ's users need to be allowed."""

from typing import Annotated

import typer

from workers.cli.output import JsonOption, print_json
from workers.cli.session import open_session
from workers.errors import InvalidRequestError
from workers.jobs.broker_users import KEYWRIGHT, Rights, commands, definitions, requester_rights
from workers.organizations.store import organization_id

VhostOption = Annotated[
    str, typer.Option("--vhost", help="The virtual host of KEYWRIGHT_BROKER_URL.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        no_args_is_help=True, help="Print what to tell RabbitMQ of its users; changes nothing."
    )
    group.command("users")(users)
    group.command("requester")(requester)
    app.add_typer(group, name="broker")


def users(*, vhost: VhostOption = "keywright", as_json: JsonOption = False) -> None:
    """Print the commands that make keywright's own users: scheduler, worker and one who looks on.

    With --json, the permissions as they stand in a definitions file.

    Each asks for the password of its user, so type them one by one.

    Example: `keywright broker users --vhost keywright`
    """
    _print(KEYWRIGHT, vhost, as_json=as_json)


def requester(
    user: Annotated[str, typer.Argument(help="Letters, digits, underscores and hyphens.")],
    *,
    vhost: VhostOption = "keywright",
    asks: Annotated[
        bool, typer.Option("--requests/--no-requests", help="May publish to keywright.intake.")
    ] = True,
    reply_queue: Annotated[
        bool, typer.Option("--reply-queue", help="May have queues keywright.reply.USER[.…].")
    ] = False,
    organizations: Annotated[
        list[str] | None,
        typer.Option("--announcements-of", help="May hear of this organization. Repeatable."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the commands that make a user for another system, with the rights it needs.

    Direct replies (amq.rabbitmq.reply-to) need no right. What it may ask for is granted apart from
    this, by `keywright requester grant`.

    Example: `keywright broker requester shop --announcements-of Acme`
    """
    numbers: list[int] = []
    if organizations:
        with open_session() as connection:
            numbers = [organization_id(connection, name) for name in organizations]
    try:
        rights = requester_rights(user, asks=asks, reply_queue=reply_queue, organizations=numbers)
    except ValueError as error:
        raise InvalidRequestError(f"USER: {error}.") from None
    _print([rights], vhost, as_json=as_json)


def _print(users: "list[Rights] | tuple[Rights, ...]", vhost: str, *, as_json: bool) -> None:
    if as_json:
        print_json(definitions(users, vhost))
        return
    for each in users:
        for command in commands(each, vhost):
            # Not by rich: these lines are for a shell, and brackets are a part of them.
            typer.echo(command)
