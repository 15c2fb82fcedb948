"""What the demo tells: who was told what and why, who was not, and where to look next."""

from collections import Counter
from datetime import datetime
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from workers.cli.output import console, print_table
from workers.database.pool import Connection
from workers.jobs.inspection import list_jobs
from workers.notifications.inspection import NoticeRow, list_notices
from workers.notifications.wording import day_in_words, days_left
from workers.organizations.store import Member, list_members, list_organizations

_MOST = 1000


def print_notices(
    connection: Connection, organizations: tuple[str, ...], *, began: datetime
) -> None:
    """Print who was told what since ``began`` (database clock), and who was not."""
    notices = _notices(connection, organizations)
    members = [m for name in organizations for m in list_members(connection, name)]
    by_name = {(member.organization, member.name): member for member in members}
    sent = [notice for notice in notices if notice.state == "sent"]
    now_sent = _sent_since(sent, began)
    if now_sent:
        zones = {o.name: ZoneInfo(o.time_zone) for o in list_organizations(connection)}
        _print_told(now_sent, by_name, zones, began)
    else:
        console.print(
            "\n[bold]Nobody was told anything by this run:[/bold] everything that is due was told"
            f" before ({len(sent)} notices), and nothing is told twice."
        )
    _print_not_told(members, notices)


def _notices(connection: Connection, organizations: tuple[str, ...]) -> list[NoticeRow]:
    return [
        notice
        for name in organizations
        for notice in list_notices(connection, organization=name, limit=_MOST)
    ]


def _sent_since(notices: list[NoticeRow], began: datetime) -> list[NoticeRow]:
    return [
        notice
        for notice in notices
        if notice.state == "sent"
        and notice.delivered_at is not None
        and notice.delivered_at >= began
    ]


def _print_told(
    notices: list[NoticeRow],
    members: dict[tuple[str, str], Member],
    zones: dict[str, ZoneInfo],
    now: datetime,
) -> None:
    ordered = sorted(notices, key=lambda n: (n.organization, n.member, n.not_after))
    for organization, of_organization in groupby(ordered, key=lambda n: n.organization):
        rows = []
        for member, of_member in groupby(of_organization, key=lambda n: n.member):
            for number, notice in enumerate(of_member):
                days = days_left(notice.not_after, now, zones[organization])
                rows.append(
                    (
                        member if number == 0 else "",
                        notice.certificate,
                        day_in_words(days),
                        f"{notice.tier_days} d",
                        _why(notice, members[organization, member]),
                    )
                )
        print_table(
            ("Told", "Certificate", "Expires", "Tier", "Why"),
            rows,
            title=f"\n{organization}: who was told what, and why",
        )


def _why(notice: NoticeRow, member: Member) -> str:
    if notice.tier_days <= 1:
        return "administrator"
    if "receive_expiration_notices" in member.permissions:
        return "holder"
    return "administrator; no holders"


def _print_not_told(members: list[Member], notices: list[NoticeRow]) -> None:
    told = {(n.organization, n.member) for n in notices if n.state == "sent"}
    held_back = Counter((n.organization, n.member) for n in notices if n.state == "superseded")
    rows = [
        (member.organization, member.name, _why_not(member))
        for member in members
        if (member.organization, member.name) not in told
    ] + [
        (organization, name, f"earlier tiers, {count}: a more urgent one of the same certificate")
        for (organization, name), count in sorted(held_back.items())
    ]
    print_table(("Organization", "Not told", "Why not"), rows, title="\nWho was not told, and why")


def _why_not(member: Member) -> str:
    if not member.active:
        return "not active"
    if not member.permissions and member.profile == "standard":
        return "neither holder nor administrator"
    return "nothing was due at their tiers"


def print_traces(
    connection: Connection, organizations: tuple[str, ...], *, began: datetime, mail: Path
) -> None:
    """Print what is left of a run that began at ``began``, and what to look at next."""
    sent = _sent_since(_notices(connection, organizations), began)
    jobs = [
        job
        for job in list_jobs(connection, limit=_MOST)
        if job.finished_at is not None and job.finished_at >= began
    ]
    kinds = Counter((job.kind, job.state) for job in jobs)
    ran = ", ".join(f"{count} {kind} {state}" for (kind, state), count in sorted(kinds.items()))
    mails = len({notice.digest_id for notice in sent})
    console.print(
        f"\nMail: {mails} digests with {len(sent)} notices; each as an .eml file in {mail}\n"
        f"Jobs: {len(jobs)} ran ({ran})\n\n"
        "Try next:\n"
        "  keywright notice list               what was told, with the mail server's answers\n"
        "  keywright notice forecast           what will be told in the next 90 days\n"
        "  keywright certificate list -o Globex\n"
        "  keywright key list                  the master keys, and how often each was used\n"
        "  keywright reencryption list         the runs\n"
        "  keywright job list                  the work behind it all\n"
        "  keywright demo                      once more: nothing is told twice\n"
        "  keywright up                        keep it running",
        markup=False,
        soft_wrap=True,
    )
