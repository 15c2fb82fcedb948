"""``keywright up``, ``keywright scheduler``, ``keywright worker``: what runs all the time."""

from contextlib import ExitStack
from typing import Annotated

import typer

from scheduler.service import run_scheduler
from workers.cli.output import console
from workers.composition import PATIENCE_BEYOND_GRACE_SECONDS, mail_server, run_worker
from workers.contract import Queue
from workers.database.open import open_database
from workers.database.pool import connect
from workers.database.schema import check_schema
from workers.notifications.catcher import MailCatcher
from workers.processes import Processes, stop_on_signals
from workers.settings import Settings, load_settings
from workers.telemetry import configure_logging

ProcessesOption = Annotated[
    int | None, typer.Option(min=1, max=256, help="Default: KEYWRIGHT_WORKER_PROCESSES or 2.")
]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, max=256, help="Default: KEYWRIGHT_WORKER_THREADS or 4.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("up")(up)
    app.command("scheduler")(scheduler)
    app.command("worker")(worker)


def up(*, processes: ProcessesOption = None, threads: ThreadsOption = None) -> None:
    """Run everything in the foreground: scheduler, workers and, where none is named, servers.

    Ctrl-C or SIGTERM stops it cleanly: running jobs finish or are given back.

    Example: `keywright up --processes 4`
    """
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    stop = stop_on_signals()
    with ExitStack() as stack:
        database = stack.enter_context(open_database(settings.database_url, settings.data_dir))
        with connect(database.conninfo, name="up") as connection:
            check_schema(connection)
        environment: dict[str, str] = {}
        if settings.smtp_url is None:
            catcher = stack.enter_context(MailCatcher(settings.data_dir / "mail"))
            environment["KEYWRIGHT_SMTP_URL"] = catcher.url
            mail = f"caught as files in {catcher.directory} (set KEYWRIGHT_SMTP_URL to send it)"
        else:
            mail = "sent through the server of KEYWRIGHT_SMTP_URL"
        count = processes or settings.worker_processes
        console.print(
            "keywright is up.\n"
            f"  Database  {_database_in_words(settings)}\n"
            f"  Hints     {_broker_in_words(settings)}\n"
            f"  Mail      {mail}\n"
            f"  Running   1 scheduler, {count} worker processes with"
            f" {threads or settings.worker_threads} threads each\n"
            "Stop with Ctrl-C. Look with `keywright status` in another terminal.",
            markup=False,
            soft_wrap=True,
        )
        Processes(
            [("scheduler",), *[_worker_command(threads, ())] * count], environment=environment
        ).run_until(
            stop,
            patience_seconds=settings.shutdown_grace_seconds + PATIENCE_BEYOND_GRACE_SECONDS,
        )
    console.print("keywright has stopped.")


def scheduler(
    *,
    now: Annotated[
        bool, typer.Option("--now", help="First let every schedule fire once, owed or not.")
    ] = False,
) -> None:
    """Run a scheduler in the foreground: clock, relay and reaper. Any number may run.

    Example: `keywright scheduler --now` scans for due notices at once.
    """
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    run_scheduler(settings, stop_on_signals(), fire_now=now)


def worker(
    *,
    queues: Annotated[
        list[Queue] | None,
        typer.Option("--queue", "-q", help="Serve only this queue. Repeatable."),
    ] = None,
    processes: ProcessesOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Run workers in the foreground. Any number may run, on any number of machines.

    Example: `keywright worker --queue notifications --processes 1 --threads 8`
    """
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    count = processes or settings.worker_processes
    if count > 1:
        mail_server(settings)  # else each process would say what is wrong, again and again
        Processes([_worker_command(threads, queues or ())] * count).run_until(
            stop_on_signals(),
            patience_seconds=settings.shutdown_grace_seconds + PATIENCE_BEYOND_GRACE_SECONDS,
        )
        return
    run_worker(
        settings.model_copy(update={"worker_threads": threads or settings.worker_threads}),
        stop_on_signals(),
        queues=tuple(queues or Queue),
    )


def _worker_command(threads: int | None, queues: tuple[Queue, ...] | list[Queue]) -> list[str]:
    command = ["worker", "--processes", "1"]
    if threads is not None:
        command += ["--threads", str(threads)]
    for queue in queues:
        command += ["--queue", queue.value]
    return command


def _database_in_words(settings: Settings) -> str:
    if settings.database_url is None:
        return f"embedded Postgres in {settings.data_dir.resolve() / 'postgres'}"
    return "the server of KEYWRIGHT_DATABASE_URL"


def _broker_in_words(settings: Settings) -> str:
    if settings.broker_url is None:
        return "inside each worker process (set KEYWRIGHT_BROKER_URL to use RabbitMQ)"
    return "over the RabbitMQ of KEYWRIGHT_BROKER_URL"
