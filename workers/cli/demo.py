"""``keywright demo``: the main jobs at work: notices, re-encryption, certificates."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import certifi
import dramatiq
import typer
from pydantic import SecretStr

from scheduler.service import SchedulerService
from workers.certificates.reading.paths import read_paths
from workers.certificates.store import save_imported
from workers.certificates.usages import add_usage
from workers.certificates.versions import add_version
from workers.cli.demonstration.cast import (
    SENDING_HOUR,
    TROUPES,
    Role,
    Troupe,
    end_of,
    self_signed_pem,
)
from workers.cli.demonstration.certificates import issue_and_replace
from workers.cli.demonstration.encryption import (
    make_root_key,
    rotate_and_reencrypt,
    with_root_key,
)
from workers.cli.demonstration.report import print_notices, print_traces
from workers.cli.output import console
from workers.cli.session import operator
from workers.composition import PATIENCE_BEYOND_GRACE_SECONDS, compose_worker
from workers.contract import ScanExpiries
from workers.database.open import open_database
from workers.database.pool import Connection, connect, database_clock
from workers.database.schema import check_schema
from workers.errors import TransientError
from workers.jobs.inspection import has_settled
from workers.notifications.catcher import MailCatcher
from workers.organizations.store import add_members, add_organization, list_organizations
from workers.processes import Processes
from workers.settings import Settings, load_settings
from workers.telemetry import configure_logging

_PATIENCE_SECONDS = 60


class DemoUnfinishedError(TransientError):
    """The demo's jobs did not end in time."""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("demo")(demo)


def demo() -> None:
    """Show expiry notices and re-encryption at work: real and made certificates, real mail.

    Two organizations are told what expires; then 50,000 made-up patients of one of them are
    encrypted, its master key is rotated, and they are re-encrypted; and a certificate is made,
    signed by a throw-away CA, exported to a Java keystore, and put to use in SAML sign-on.

    Uses the embedded default, or the servers that the environment names; mail is always caught in
    files. It ends by itself, and run twice it tells nobody anything twice.

    Example: `keywright demo`
    """
    settings = with_root_key(load_settings())
    configure_logging("error", "text")
    mail = settings.data_dir / "mail"
    with ExitStack() as stack:
        with console.status("Starting the database …"):
            database = stack.enter_context(open_database(settings.database_url, settings.data_dir))
        connection = stack.enter_context(connect(database.conninfo, name="demo", acting=operator()))
        check_schema(connection)
        root_keys = make_root_key(settings)
        catcher = stack.enter_context(MailCatcher(mail))
        began = database_clock(connection)
        for troupe in TROUPES:
            with console.status(f"Setting the stage for {troupe.name} …"):
                _set_stage(connection, troupe, settings.data_dir / "demo", began)
        with _everything_running(
            settings.model_copy(update={"smtp_url": SecretStr(catcher.url)}), database.conninfo
        ):
            with console.status("Scheduler and workers at work …"):
                _await_end(connection, began)
            names = tuple(troupe.name for troupe in TROUPES)
            print_notices(connection, names, began=began)
            rotate_and_reencrypt(
                connection, database.conninfo, root_keys, organization=TROUPES[0].name
            )
            issue_and_replace(
                connection,
                database.conninfo,
                root_keys,
                organization=TROUPES[0].name,
                folder=settings.data_dir.absolute() / "demo",
            )
        print_traces(connection, names, began=began, mail=mail.resolve())


def _set_stage(connection: Connection, troupe: Troupe, folder: Path, now: datetime) -> None:
    """Make the organization and its certificates, unless an earlier run has."""
    if any(each.name == troupe.name for each in list_organizations(connection)):
        console.print(f"{troupe.name}: still there from an earlier run.")
        return
    files = folder / troupe.name.lower().replace(" ", "-")
    with connection.transaction():
        owner = add_organization(
            connection,
            name=troupe.name,
            time_zone=troupe.time_zone,
            sending_hour=SENDING_HOUR,
            is_sandbox=troupe.is_sandbox,
        )
        add_members(connection, organization_id=owner, members=troupe.members)
        for role in troupe.roles:
            ends = end_of(role, now=now, time_zone=troupe.time_zone)
            _import_role(connection, owner, role, _write(role, files, ends), now)
        for name in troupe.renewed:
            successor = Role(name=name, days_left=365)
            new = _write(successor, files / "renewed", now + timedelta(days=365))
            [found] = read_paths([new]).certificates
            add_version(connection, organization_id=owner, unique_name=name, found=found, now=now)
        bundle = read_paths([Path(certifi.where())])
        roots = save_imported(connection, organization_id=owner, found=bundle.certificates, now=now)
    console.print(
        f"{troupe.name}: {len(troupe.members)} members, {len(troupe.roles)} certificates made for"
        f" the demo, {len(roots.imported)} real ones of the Mozilla trust store."
    )


def _import_role(connection: Connection, owner: int, role: Role, path: Path, now: datetime) -> None:
    """Import a certificate as if keywright had known it all its life, and register its places."""
    reading = read_paths([path])
    save_imported(
        connection,
        organization_id=owner,
        found=reading.certificates,
        now=now,
        known_since=reading.certificates[0].not_before,
        unique_name=role.name,
    )
    for place_kind, place in role.used_in:
        add_usage(
            connection,
            organization_id=owner,
            unique_name=role.name,
            place_kind=place_kind,
            place=place,
            now=now,
        )


def _write(role: Role, files: Path, ends: datetime) -> Path:
    files.mkdir(parents=True, exist_ok=True)
    path = files / f"{role.name}.pem"
    life = timedelta(days=role.life_days)
    path.write_bytes(self_signed_pem(role.name, not_after=ends, life=life))
    return path


@contextmanager
def _everything_running(settings: Settings, conninfo: str) -> Iterator[None]:
    """Run scheduler and worker for the block: in this process, or over RabbitMQ as processes."""
    if settings.broker_url is None:
        broker = compose_worker(settings, conninfo)
        worker = dramatiq.Worker(broker, worker_threads=4, worker_timeout=100)
        with SchedulerService(conninfo, None, fire_now=True):
            worker.start()
            try:
                yield
            finally:
                worker.stop()
                broker.close()
        return
    assert settings.smtp_url is not None
    assert settings.root_key is not None
    processes = Processes(
        [("scheduler", "--now"), ("worker", "--processes", "1"), ("worker", "--processes", "1")],
        environment={
            "KEYWRIGHT_SMTP_URL": settings.smtp_url.get_secret_value(),
            "KEYWRIGHT_ROOT_KEY": settings.root_key,
            "KEYWRIGHT_LOG_LEVEL": "error",
        },
    )
    stop = threading.Event()
    keeper = threading.Thread(
        target=processes.run_until,
        args=(stop,),
        kwargs={"patience_seconds": PATIENCE_BEYOND_GRACE_SECONDS},
    )
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()


def _await_end(connection: Connection, began: datetime) -> None:
    """Wait until a scan that was asked for by this run has ended, and all that came of it."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        if has_settled(connection, ScanExpiries.kind, ScanExpiries.queue, since=began):
            return
        if time.monotonic() > deadline:
            raise DemoUnfinishedError(
                f"The demo's jobs did not end within {_PATIENCE_SECONDS} s;"
                " `keywright job list` shows where they stand."
            )
        time.sleep(0.05)
