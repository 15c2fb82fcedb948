"""Watching a run: a bar on a terminal, lines anywhere else."""

import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn
from rich.text import Text

from workers.cli.output import console, in_words
from workers.database.pool import DATABASE_TROUBLE, Connection, DatabaseUnavailableError
from workers.errors import TransientError
from workers.reencryption.progress import Progress as RunProgress
from workers.reencryption.progress import read_progress
from workers.reencryption.store import Run

_LOOK_SECONDS = 0.2
_RATE_SECONDS = 10.0
_LINE_EVERY_SECONDS = 5.0
_FINISHED = ("completed", "cancelled")


class RunNotFinishedError(TransientError):
    """The run is still not finished after the time that it was given."""


class Pace:
    """How fast a run is, by what was seen of it lately; each phase begins anew."""

    def __init__(self) -> None:
        self._seen: deque[tuple[datetime, int]] = deque()
        self._phase = ""

    def see(self, progress: RunProgress) -> None:
        """Take note of how far the run is."""
        if progress.phase != self._phase:
            self._seen.clear()
            self._phase = progress.phase
        self._seen.append((progress.at, progress.done))
        oldest = progress.at - timedelta(seconds=_RATE_SECONDS)
        while self._seen[0][0] < oldest and len(self._seen) > 2:  # noqa: PLR2004  # two make a rate
            self._seen.popleft()

    @property
    def rows_per_second(self) -> float:
        """0 while nothing is known."""
        (began, before), (at, done) = self._seen[0], self._seen[-1]
        seconds = (at - began).total_seconds()
        return max(0.0, done - before) / seconds if seconds > 0 else 0.0

    def in_words(self, progress: RunProgress) -> str:
        """Say rate and time left, as far as they are known."""
        rate = self.rows_per_second
        if not rate:
            return ""
        words = f"{rate:,.0f} rows/s"
        if progress.total is not None and progress.total > progress.done:
            left = timedelta(seconds=(progress.total - progress.done) / rate)
            words += f", about {in_words(left)} left"
        return words


class _Screen(Progress):
    """A bar, and below it how far and how fast the run is, and what it waits for."""

    words = ""
    notes: Sequence[str] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        yield Text(f"  {self.words}")
        for note in self.notes:
            yield Text(f"  {note}", style="yellow")


def watch(
    connection: Connection,
    run_id: int,
    *,
    quiet: bool = False,
    patience_seconds: float | None = None,
) -> Run:
    """Show how far a run is until it is finished, and return it.

    Raises:
        NotFoundError: there is no such run.
        RunNotFinishedError: it did not end within ``patience_seconds``.
        DatabaseUnavailableError: the database is gone; the run goes on when it is back.
    """
    draws = console.is_terminal and not console.is_dumb_terminal
    show = _watch_quietly if quiet else _watch_bar if draws else _watch_lines
    deadline = None if patience_seconds is None else time.monotonic() + patience_seconds
    try:
        return show(connection, run_id, deadline)
    except DATABASE_TROUBLE as error:
        raise DatabaseUnavailableError(
            "The database went away, and with it the view of the run; it goes on by itself when the"
            f" database is back (`keywright reencryption show {run_id} --watch`)."
        ) from error


def _look(connection: Connection, run_id: int, deadline: float | None) -> tuple[Run, RunProgress]:
    run, progress = read_progress(connection, run_id)
    if run.state not in _FINISHED and deadline is not None and time.monotonic() > deadline:
        raise RunNotFinishedError(
            f"Run {run_id} is not finished in time"
            f" ({'; '.join((say_where(run, progress), *_notes(progress)))});"
            f" `keywright reencryption show {run_id}` shows how far it is."
        )
    return run, progress


def _watch_quietly(connection: Connection, run_id: int, deadline: float | None) -> Run:
    while True:
        run, _ = _look(connection, run_id, deadline)
        if run.state in _FINISHED:
            return run
        time.sleep(_LOOK_SECONDS)


def _watch_bar(connection: Connection, run_id: int, deadline: float | None) -> Run:
    pace = Pace()
    with _Screen(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        console=console,
    ) as screen:
        task = screen.add_task(f"run {run_id}", total=None)
        while True:
            run, progress = _look(connection, run_id, deadline)
            pace.see(progress)
            screen.words = _join(say_how_far(progress), pace.in_words(progress))
            screen.notes = _notes(progress)
            screen.update(
                task,
                description=f"run {run_id} {say_where(run, progress)}",
                completed=progress.done,
                total=progress.total or None,
            )
            if run.state in _FINISHED:
                return run
            time.sleep(_LOOK_SECONDS)


def _watch_lines(connection: Connection, run_id: int, deadline: float | None) -> Run:
    pace = Pace()
    said, due = "", 0.0
    while True:
        run, progress = _look(connection, run_id, deadline)
        pace.see(progress)
        if run.state in _FINISHED:
            return run
        # What changes every second (how long a job is overdue) is no reason for another line.
        where = f"{say_where(run, progress)}{progress.waiting_for}{bool(progress.advice)}"
        if where != said or time.monotonic() >= due:
            said, due = where, time.monotonic() + _LINE_EVERY_SECONDS
            how_far = _join(say_how_far(progress), pace.in_words(progress))
            line = "; ".join((how_far, *_notes(progress)))
            console.print(
                f"run {run_id} {say_where(run, progress)}: {line}", markup=False, soft_wrap=True
            )
        time.sleep(_LOOK_SECONDS)


def say_where(run: Run, progress: RunProgress) -> str:
    """Say in which phase a run is, or how it ended."""
    phase = progress.phase if run.state != "paused" else "paused"
    if phase == "starting":
        return "waits for writers and counts"
    if phase == "finished":
        return run.state
    return phase if phase == "verifying" else f"{phase}, pass {run.pass_number}"


def say_how_far(progress: RunProgress) -> str:
    """Say how many rows of the present phase are done."""
    if progress.total is None:
        return "no plan yet"
    share = progress.done / progress.total if progress.total else 1
    return f"{progress.done:,} of {progress.total:,} rows ({share:.0%})"


def average_pace(run: Run, progress: RunProgress) -> str:
    """Say how fast a run has rewritten so far, by one look at it."""
    if run.state != "rewriting" or run.started_at is None or not progress.done:
        return ""
    pace = Pace()
    pace.see(replace(progress, at=run.started_at, done=0))
    pace.see(progress)
    return pace.in_words(progress)


def _notes(progress: RunProgress) -> list[str]:
    return [each for each in (progress.waiting_for, progress.advice) if each]


def _join(*words: str) -> str:
    return ", ".join(each for each in words if each)
