"""The jobs of bulk re-encryption."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta

import psycopg

from workers.contract import (
    ConcludeReencryption,
    PrepareReencryption,
    StartReencryption,
    WorkOnReencryption,
)
from workers.contract.reencryption import Begun, RunState
from workers.encryption.registry import list_fields
from workers.errors import InvalidRequestError, PermanentError, TransientError
from workers.jobs.running import RunningJob
from workers.reencryption import ranges, steps, store
from workers.reencryption.control import (
    ask_for_a_turn,
    ask_to_conclude,
    pause_run,
    start_run,
)
from workers.reencryption.options import RunOptions
from workers.reencryption.rewriting import AT_WORK, RangeWorker, RunInterrupted
from workers.reencryption.signals import Monitor
from workers.reencryption.store import Run
from workers.reencryption.tables import Table
from workers.reencryption.telling import tell_progress
from workers.reencryption.tools import Tools

TURN_SECONDS = 300
"""How long one job works: a broker takes a job that never ends for a dead one."""

_LOOK_AFTER_SECONDS = 10
"""How often one job looks whether it is time to announce how far its run is."""

# A range is free, and still locked by the last statement of a worker that died.
_PATIENCE = timedelta(seconds=1)

# What a person has to see to: the run waits for them, with the reason.
_PAUSES = (PermanentError, psycopg.ProgrammingError, psycopg.DataError, psycopg.IntegrityError)


def start_reencryption(request: StartReencryption, job: RunningJob, *, tools: Tools) -> Begun:
    """Begin a run for the job's organization."""
    if job.organization_id is None:
        raise InvalidRequestError("organization: say on whose behalf, a run is for one.")
    run_id = start_run(
        job.connection,
        tools.keyring,
        organization_id=job.organization_id,
        purpose=request.purpose,
        field_names=request.fields,
        requested_by=f"job {job.job_id}",
    )
    return Begun(run_id=run_id)


def prepare_reencryption(
    request: PrepareReencryption, job: RunningJob, *, tools: Tools
) -> RunState:
    """Raise the write fence for a run and divide its tables."""
    if run := _load_in(("starting",), request.run_id, job):
        try:
            steps.prepare(run, job, tools)
        except TransientError as error:
            _say(tools, run, error)
            raise
        except _PAUSES as error:
            _pause(run, job, error)
    return _state(job, request.run_id)


def work_on_reencryption(request: WorkOnReencryption, job: RunningJob, *, tools: Tools) -> RunState:
    """Rewrite or check ranges until none is left, or this job's turn is over."""
    found_work = True
    if run := _load_in(AT_WORK, request.run_id, job):
        try:
            found_work = _take_a_turn(run, job, tools)
        except RunInterrupted:
            pass
        except TransientError as error:
            _say(tools, run, error)
            raise
        except _PAUSES as error:
            _pause(run, job, error)
    _hand_over(request, job, tools, after=timedelta(0) if found_work else _PATIENCE)
    return _state(job, request.run_id)


def conclude_reencryption(
    request: ConcludeReencryption, job: RunningJob, *, tools: Tools
) -> RunState:
    """Take the census of a run, and go on accordingly."""
    if run := _load_in(AT_WORK, request.run_id, job):
        try:
            steps.conclude(run, job, tools)
        except _PAUSES as error:
            _pause(run, job, error)
    return _state(job, request.run_id)


def _take_a_turn(run: Run, job: RunningJob, tools: Tools) -> bool:
    """Work on ranges until none is left or the time is over; False: there was none to be had."""
    until = time.monotonic() + TURN_SECONDS
    tell_at = time.monotonic() + _LOOK_AFTER_SECONDS
    options = RunOptions.from_json(run.options)
    with tools.ledger.connection() as connection:
        fields = {
            field.field_id: field for field in list_fields(connection, field_ids=run.field_ids)
        }
    with ExitStack() as open_now:
        worker: RangeWorker | None = None
        at: list[object] = []
        while time.monotonic() < until:
            with tools.ledger.connection() as connection:
                piece = ranges.claim_range(connection, run.run_id, job.claimed)
            if piece is None:
                return worker is not None
            if worker is None or at != piece.field_ids:
                open_now.close()
                at = list(piece.field_ids)
                table = Table(tuple(fields[field_id] for field_id in piece.field_ids))
                data = open_now.enter_context(
                    tools.connections.connect(table.connection_name, "re-encryption")
                )
                monitor = open_now.enter_context(
                    Monitor(
                        tools.ledger,
                        tools.connections,
                        run_id=run.run_id,
                        connection_name=table.connection_name,
                        pid=data.info.backend_pid,
                        limits=options.limits,
                    )
                )
                worker = RangeWorker(
                    run, table, connection=data, monitor=monitor, job=job, tools=tools
                )
            worker.work_on(piece)
            if time.monotonic() >= tell_at:
                tell_progress(tools.ledger, run.run_id)
                tell_at = time.monotonic() + _LOOK_AFTER_SECONDS
    return True


def _hand_over(
    request: WorkOnReencryption, job: RunningJob, tools: Tools, *, after: timedelta
) -> None:
    """Ask for the slot's next turn, or for the census if this was the last range."""
    run = store.load_run(job.connection, request.run_id, lock=True)
    if run.state not in AT_WORK:
        return
    if steps.is_overtaken(run, tools):
        steps.start_anew(run, job)
        return
    unfinished, free = ranges.count_open(job.connection, run.run_id)
    # What this job has begun and not finished is free as soon as it ends.
    if free or ranges.count_claimed(job.connection, run.run_id, job.job_id):
        ask_for_a_turn(
            job.connection,
            run,
            slot=request.slot,
            turn=request.turn + 1,
            run_at=job.now + after,
        )
    elif not unfinished:
        ask_to_conclude(job.connection, run)


def _load_in(states: Sequence[store.State], run_id: int, job: RunningJob) -> Run | None:
    """Return a run that is in one of ``states``; None ends the job, with the run's row locked.

    Whoever resumes the run waits for that lock, sees that this job has ended, and asks for another.
    """
    run = store.load_run(job.connection, run_id, lock=True)
    if run.state not in states:
        return None
    job.release()
    return run


def _say(tools: Tools, run: Run, error: TransientError) -> None:
    with tools.ledger.connection() as connection:
        store.say_what_it_waits_for(connection, run.run_id, str(error)[:500])


def _pause(run: Run, job: RunningJob, error: Exception) -> None:
    """Have a person look, and end the job: as in ``_load_in``, whoever resumes waits for that."""
    job.release()
    # Of an error of the server, what kind it is: its text may hold values.
    reason = str(error) if isinstance(error, PermanentError) else type(error).__name__
    pause_run(job.connection, run.run_id, reason=reason)


def _state(job: RunningJob, run_id: int) -> RunState:
    return RunState(state=store.load_run(job.connection, run_id).state)
