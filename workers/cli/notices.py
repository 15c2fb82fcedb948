"""``keywright notice``."""

from enum import StrEnum
from typing import Annotated

import typer

from workers.cli.output import JsonOption, print_rows
from workers.cli.session import open_session
from workers.notifications import inspection

OnlyOrganization = Annotated[
    str | None, typer.Option("--organization", "-o", help="Only of this organization.")
]


class NoticeState(StrEnum):
    """What became of a notice."""

    PLANNED = "planned"
    SENT = "sent"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(no_args_is_help=True, help="Notices: who was told what, and who will be.")
    group.command("list")(list_notices)
    group.command("forecast")(forecast)
    app.add_typer(group, name="notice")


def list_notices(
    *,
    organization: OnlyOrganization = None,
    state: Annotated[NoticeState | None, typer.Option(help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 200,
    as_json: JsonOption = False,
) -> None:
    """List who was told of which certificate at which tier, latest first.

    Example: `keywright notice list -o Acme --state failed --json`
    """
    with open_session() as connection:
        rows = inspection.list_notices(
            connection,
            organization=organization,
            state=state.value if state else None,
            limit=limit,
        )
    print_rows(
        rows,
        {
            "organization": "Organization",
            "member": "Member",
            "certificate": "Certificate",
            "not_after": "Expires",
            "tier_days": "Tier (days)",
            "state": "State",
            "delivered_at": "Delivered",
            "smtp_reply": "Mail server said",
            "reason": "Reason",
        },
        as_json=as_json,
        empty="No notices: nothing was due, or no scan has run; see `keywright notice forecast`.",
    )


def forecast(
    *,
    organization: OnlyOrganization = None,
    days: Annotated[int, typer.Option(min=0, max=3660, help="How far to look ahead.")] = 90,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 200,
    as_json: JsonOption = False,
) -> None:
    """List the tiers that are coming up, and how many members would hear of each today.

    Example: `keywright notice forecast --days 30`
    """
    with open_session() as connection:
        rows = inspection.forecast_notices(
            connection, organization=organization, days=days, limit=limit
        )
    print_rows(
        rows,
        {
            "due_at": "Due",
            "organization": "Organization",
            "certificate": "Certificate",
            "not_after": "Expires",
            "tier_days": "Tier (days)",
            "audience": "Audience",
            "members": "Members",
        },
        as_json=as_json,
        empty=f"Nothing is due within {days} days.",
    )
