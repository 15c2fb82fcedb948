"""``keywright replacement overlap | switch | retire | roll-back | finish | reschedule``."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from workers.certificates.replacement.moves import advance, finish, roll_back
from workers.certificates.replacement.plan import Place, StepState, deadlines
from workers.certificates.replacements import reschedule, show_replacement
from workers.cli.key_options import actor
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, console, print_json
from workers.cli.replacement_report import print_moved
from workers.cli.session import open_session
from workers.database.pool import database_clock
from workers.errors import InvalidRequestError
from workers.organizations.store import organization_id

ReplacementId = Annotated[int, typer.Argument(min=1, help="Number of the replacement.")]
PlaceOption = Annotated[
    list[str] | None,
    typer.Option("--place", help="Only this one, as kind:name; may be repeated."),
]
OverlapBy = Annotated[
    datetime | None, typer.Option(help="By when both are to be accepted; local time.")
]
SwitchBy = Annotated[
    datetime | None, typer.Option(help="By when the new one is to be used; local time.")
]
RetireBy = Annotated[
    datetime | None, typer.Option(help="By when the old one is to be given up; local time.")
]


def register(group: typer.Typer) -> None:
    """Add the commands to ``keywright replacement``."""
    group.command("overlap")(overlap)
    group.command("switch")(switch)
    group.command("retire")(retire)
    group.command("roll-back")(back)
    group.command("finish")(end)
    group.command("reschedule")(change)


def aware(moment: datetime | None) -> datetime | None:
    """Return a time that was typed, as one of here."""
    return moment and moment.astimezone()


def overlap(
    number: ReplacementId,
    *,
    organization: OrganizationOption,
    place: PlaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Record that places accept both certificates; they still use the old one.

    Example: `keywright replacement overlap 1 -o Acme --place saml_configuration:Okta`
    """
    _advance(number, StepState.OVERLAPPING, organization, place, as_json=as_json)


def switch(
    number: ReplacementId,
    *,
    organization: OrganizationOption,
    place: PlaceOption = None,
    without_overlap: Annotated[
        bool,
        typer.Option("--without-overlap", help="Also of places that do not accept both."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let places use the new certificate; they still accept the old one.

    Example: `keywright replacement switch 1 -o Acme`
    """
    _advance(
        number,
        StepState.SWITCHED,
        organization,
        place,
        without_overlap=without_overlap,
        as_json=as_json,
    )


def retire(
    number: ReplacementId,
    *,
    organization: OrganizationOption,
    place: PlaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Record that places have given up the old certificate; after the last one all is over.

    Example: `keywright replacement retire 1 -o Acme`
    """
    _advance(number, StepState.RETIRED, organization, place, as_json=as_json)


def back(
    number: ReplacementId,
    *,
    organization: OrganizationOption,
    place: PlaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give every place the old certificate again, which ends it; or let some go one step back.

    Example: `keywright replacement roll-back 1 -o Acme --place saml_configuration:Okta`
    """
    with open_session() as connection:
        moved = roll_back(
            connection,
            organization_id=organization_id(connection, organization),
            replacement_id=number,
            places=_places(place),
            actor=actor(),
            now=database_clock(connection),
        )
    print_moved(moved, as_json=as_json)


def end(
    number: ReplacementId, *, organization: OrganizationOption, as_json: JsonOption = False
) -> None:
    """Let every place give up the old certificate, once all have switched.

    Example: `keywright replacement finish 1 -o Acme`
    """
    with open_session() as connection:
        moved = finish(
            connection,
            organization_id=organization_id(connection, organization),
            replacement_id=number,
            actor=actor(),
            now=database_clock(connection),
        )
    print_moved(moved, as_json=as_json)


def change(
    number: ReplacementId,
    *,
    organization: OrganizationOption,
    place: PlaceOption = None,
    overlap_by: OverlapBy = None,
    switch_by: SwitchBy = None,
    retire_by: RetireBy = None,
    as_json: JsonOption = False,
) -> None:
    """Give places other deadlines, before the old certificate ends.

    Example: `keywright replacement reschedule 1 -o Acme --switch-by 2026-12-01`
    """
    with open_session() as connection:
        owner, now = organization_id(connection, organization), database_clock(connection)
        row, _ = show_replacement(connection, organization_id=owner, replacement_id=number, now=now)
        by = deadlines(
            now=now,
            not_after=row.old_not_after or now,
            overlap_by=aware(overlap_by),
            switch_by=aware(switch_by),
            retire_by=aware(retire_by),
        )
        count = reschedule(
            connection,
            organization_id=owner,
            replacement_id=number,
            places=_places(place),
            by=by,
            actor=actor(),
            now=now,
        )
    if as_json:
        print_json({"places": count, **asdict(by)})
    else:
        console.print(
            f"New deadlines for {count} {'place' if count == 1 else 'places'}; `keywright"
            f" replacement show {number}` lists them."
        )


def _advance(
    number: int,
    to: StepState,
    organization: str,
    places: list[str] | None,
    *,
    as_json: bool,
    without_overlap: bool = False,
) -> None:
    with open_session() as connection:
        moved = advance(
            connection,
            organization_id=organization_id(connection, organization),
            replacement_id=number,
            to=to,
            places=_places(places),
            without_overlap=without_overlap,
            actor=actor(),
            now=database_clock(connection),
        )
    print_moved(moved, as_json=as_json)


def _places(written: list[str] | None) -> list[Place]:
    places = []
    for each in written or ():
        kind, colon, name = each.partition(":")
        if not (kind and colon and name.strip()):
            raise InvalidRequestError(
                "--place: write it as kind:name, such as saml_configuration:Okta."
            )
        places.append(Place(kind, name.strip()))
    return places
