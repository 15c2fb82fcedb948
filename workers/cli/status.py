"""``keywright status``: is everything well, and if not, what is to be done."""

from dataclasses import dataclass, field
from datetime import timedelta
from shlex import quote
from typing import Annotated

import psycopg
import typer
from rich.text import Text

from workers.audit.reading import oldest_unlinked_at
from workers.certificates.health import CertificateHealth, certificate_health
from workers.cli.output import JsonOption, cell, console, in_words, print_json, print_table
from workers.cli.session import operator
from workers.cli.transit import unprotected
from workers.database.open import open_database
from workers.database.pool import Connection, connect, database_clock
from workers.database.schema import check_schema
from workers.errors import KeywrightError
from workers.jobs.broker_health import QueueDepth, queue_depths
from workers.jobs.inspection import QueueBacklog, backlog
from workers.jobs.intake.topology import INTAKE
from workers.notifications.inspection import NoticeHealth, notice_health
from workers.reencryption.store import list_paused
from workers.settings import Settings, load_settings
from workers.webhooks.judging import FAILURES_THAT_OPEN
from workers.webhooks.store import list_failing

_SCAN_IS_LATE = timedelta(minutes=15)
_JOB_IS_LATE = timedelta(minutes=5)
_NOTICE_IS_LATE = timedelta(hours=1)
_LINK_IS_LATE = timedelta(minutes=15)


@dataclass
class Status:
    """What was found; ``troubles`` are sentences that say what is wrong and what to do.

    ``notes`` are about what somebody wanted so; they are no troubles.
    """

    database: str = "unknown"
    broker: str = "unknown"
    queues: list[QueueBacklog] = field(default_factory=list)
    depths: list[QueueDepth] = field(default_factory=list)
    notices: NoticeHealth | None = None
    certificates: CertificateHealth | None = None
    notes: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("status")(status)


def status(
    *,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only troubles, if any.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show backlog, notices, failed jobs, and the health of broker and database.

    Exits with 1 when something is wrong, and says what to do about it.

    Example: `keywright status --quiet || page the one on call`
    """
    found = look(load_settings())
    if as_json:
        print_json(found)
    else:
        if not quiet:
            _show(found)
            for note in found.notes:
                console.print(Text(f"! {note}", style="yellow"), soft_wrap=True)
        for trouble in found.troubles:
            console.print(Text(f"✗ {trouble}", style="red"), soft_wrap=True)
        if not found.troubles and not quiet:
            console.print("[green]✓ all is well[/green]")
    if found.troubles:
        raise typer.Exit(code=1)


def look(settings: Settings) -> Status:
    """Find out how everything is; troubles are found, not raised."""
    found = Status()
    try:
        found.notes = unprotected(settings)
    except KeywrightError as error:
        found.troubles.append(str(error))
    try:
        with (
            open_database(settings.database_url, settings.data_dir) as database,
            connect(database.conninfo, name="status", acting=operator()) as connection,
        ):
            check_schema(connection)
            found.database = "embedded" if database.is_embedded else "reachable"
            for what, look_into in _PARTS.items():
                try:
                    look_into(connection, found)
                except psycopg.errors.InsufficientPrivilege:
                    # A scheduler's role is for the ledger alone.
                    found.notes.append(
                        f"This database role may not look at {what}; ask with that of a worker, or"
                        " of a member of keywright_reader."
                    )
    except KeywrightError as error:
        found.database = "in trouble"
        found.troubles.append(str(error))
    if settings.broker_url is None:
        found.broker = "none: hints stay inside the workers"
        return found
    try:
        found.depths = queue_depths(settings.broker_url.get_secret_value())
        found.broker = "reachable"
    except KeywrightError as error:
        found.broker = "in trouble"
        found.troubles.append(str(error))
    found.troubles += [_about_dead_letters(depth) for depth in found.depths if depth.dead_letters]
    return found


def _about_dead_letters(depth: QueueDepth) -> str:
    if depth.queue == INTAKE:
        return (
            f"{depth.dead_letters} requests that keywright stumbled over lie in {depth.queue}.XQ;"
            " the log of the scheduler says why."
        )
    return (
        f"{depth.dead_letters} foreign or broken messages lie in {depth.queue}.XQ; the header"
        " x-keywright-reason of each says why."
    )


def _look_into_ledger(connection: Connection, found: Status) -> None:
    now = database_clock(connection)
    found.queues = backlog(connection)
    failed = sum(queue.failed for queue in found.queues)
    if failed:
        found.troubles.append(
            f"{failed} failed jobs; `keywright job list --state failed` shows them, and"
            " `keywright job retry JOB` lets one begin anew."
        )
    for queue in found.queues:
        if queue.oldest_due_at is not None and now - queue.oldest_due_at > _JOB_IS_LATE:
            found.troubles.append(
                f"A job of queue {queue.queue} has been due for"
                f" {in_words(now - queue.oldest_due_at)}; is a worker running"
                " (`keywright worker`), and a scheduler?"
            )


def _look_into_notices(connection: Connection, found: Status) -> None:
    now = database_clock(connection)
    found.notices = notices = notice_health(connection)
    if notices.last_scan_at is None:
        found.troubles.append(
            "No expiry scan has ended yet; is a scheduler running (`keywright scheduler`)?"
        )
    elif now - notices.last_scan_at > _SCAN_IS_LATE:
        found.troubles.append(
            f"No expiry scan has ended for {in_words(now - notices.last_scan_at)};"
            " is a scheduler running (`keywright scheduler`)?"
        )
    if notices.oldest_unsent_at is not None and now - notices.oldest_unsent_at > _NOTICE_IS_LATE:
        found.troubles.append(
            f"A digest has waited {in_words(now - notices.oldest_unsent_at)} to be sent;"
            " `keywright job list --kind notice.deliver` shows why."
        )
    if notices.failed_digests:
        found.troubles.append(
            f"{notices.failed_digests} digests of the last 7 days could not be delivered;"
            " `keywright notice list --state failed` shows whose."
        )
    if notices.tiers_nobody_heard:
        found.troubles.append(
            f"{notices.tiers_nobody_heard} notices of the last 7 days had no active member to go"
            " to; give each organization an active administrator."
        )


def _look_into_reencryption(connection: Connection, found: Status) -> None:
    found.troubles += [
        f"Re-encryption run {run.run_id} of {run.organization} is paused: {run.waiting_for}; when"
        f" that is seen to, `keywright reencryption resume {run.run_id}`."
        for run in list_paused(connection)
    ]


def _look_into_certificates(connection: Connection, found: Status) -> None:
    found.certificates = certificates = certificate_health(connection)
    if certificates.expired_places:
        found.troubles.append(
            f"Places with a certificate that has ended: {certificates.expired_places}; `keywright"
            " usage list -o ORGANIZATION` shows which."
        )
    if certificates.overdue:
        found.troubles.append(
            f"Replacements that are overdue: {certificates.overdue}; `keywright replacement list -o"
            " ORGANIZATION` shows them."
        )


def _look_into_webhooks(connection: Connection, found: Status) -> None:
    found.troubles += [
        f"Webhook {webhook.name} of {webhook.organization} has failed {webhook.failures} times in"
        f" a row; `keywright webhook deliveries {webhook.name} -o {quote(webhook.organization)}`"
        " shows why."
        for webhook in list_failing(connection, failures=FAILURES_THAT_OPEN)
    ]


def _look_into_audit(connection: Connection, found: Status) -> None:
    now = database_clock(connection)
    oldest = oldest_unlinked_at(connection)
    if oldest is not None and now - oldest > _LINK_IS_LATE:
        found.troubles.append(
            f"An entry of the audit record has waited {in_words(now - oldest)} for its link in the"
            " chain; is a scheduler running (`keywright scheduler`)?"
        )


_PARTS = {
    "jobs": _look_into_ledger,
    "notices": _look_into_notices,
    "re-encryption": _look_into_reencryption,
    "certificates": _look_into_certificates,
    "webhooks": _look_into_webhooks,
    "the audit record": _look_into_audit,
}


def _show(found: Status) -> None:
    console.print(f"Database  {found.database}\nBroker    {found.broker}")
    if found.notices is not None:
        last = found.notices.last_scan_at
        when = f"{last.astimezone():%Y-%m-%d %H:%M:%S}" if last else "never"
        console.print(f"Last scan {when}")
        waiting = [found.notices.oldest_unplanned_at, found.notices.oldest_unsent_at]
        oldest = min((moment for moment in waiting if moment is not None), default=None)
        since = f"waits since {cell(oldest)}" if oldest else "none waits"
        console.print(f"Oldest due notice: {since}")
    if found.certificates is not None:
        console.print(
            f"Certificates: {found.certificates.expired} have ended,"
            f" {found.certificates.being_replaced} are being replaced"
        )
    depths = {depth.queue: depth for depth in found.depths}
    if found.queues:
        print_table(
            ("Queue", "Waiting", "Due", "Running", "Failed", "Hints", "Dead"),
            (
                (
                    queue.queue,
                    str(queue.waiting),
                    str(queue.due),
                    str(queue.running),
                    str(queue.failed),
                    _number(depths[queue.queue].waiting) if depths else "",
                    _number(depths[queue.queue].dead_letters) if depths else "",
                )
                for queue in found.queues
            ),
        )


def _number(value: int | None) -> str:
    return "not declared" if value is None else str(value)
