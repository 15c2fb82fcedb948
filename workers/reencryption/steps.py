"""What a run does next: prepare, another pass, the verification, the end."""

from datetime import datetime, timedelta
from typing import Any

from workers.contract.announcements import ReencryptionCompleted
from workers.database.pool import Connection
from workers.encryption.fence import raise_fence
from workers.encryption.registry import EncryptedField, FieldState, list_fields, move_field
from workers.jobs.running import RunningJob
from workers.reencryption import quarantine, ranges, store
from workers.reencryption.at_work import wait_for_workers
from workers.reencryption.census import count_left, others_hold, take_census
from workers.reencryption.control import ask_for_work, ask_to_prepare
from workers.reencryption.planning import divide, predict, read_statistics
from workers.reencryption.ranges import NewRange
from workers.reencryption.report import completion_report, wal_position
from workers.reencryption.store import Run
from workers.reencryption.tables import Table, by_table
from workers.reencryption.telling import tell
from workers.reencryption.tools import Tools

FENCE_SECONDS = 20
ZERO_CENSUSES = 2

_PATIENT_PASSES = 3
_LONGEST_PAUSE_SECONDS = 30
_MOVES_AT_START: dict[str, tuple[FieldState, FieldState]] = {
    "encrypt": ("plaintext", "encrypting"),
    "decrypt": ("encrypted", "decrypting"),
}
_MOVES_AT_END: dict[str, tuple[FieldState, FieldState]] = {
    "encrypt": ("encrypting", "encrypted"),
    "reencrypt": ("encrypting", "encrypted"),
    "decrypt": ("decrypting", "plaintext"),
}


def run_tables(connection: Connection, run: Run) -> list[Table]:
    """Return the tables of a run with the fields that it is about."""
    return by_table(list_fields(connection, field_ids=run.field_ids))


def prepare(run: Run, job: RunningJob, tools: Tools) -> None:
    """Let nobody write under the former key any more, and put the tables up for work.

    Raises:
        FenceTimeoutError: somebody's transaction does not end; trying again may help.
    """
    target = None
    if run.purpose != "decrypt":
        target = tools.keyring.active_key(run.organization_id, uses=0).number
    with job.checkpoint() as connection:
        if store.load_run(connection, run.run_id, lock=True).state != "starting":
            return
        store.change_run(connection, run.run_id, target_number=target)
        for field in list_fields(connection, field_ids=run.field_ids):
            _move(connection, field, _MOVES_AT_START.get(run.purpose))
            if run.purpose == "encrypt":
                _move(connection, field, ("decrypting", "encrypting"))
            if run.purpose == "decrypt":
                _move(connection, field, ("encrypting", "decrypting"))
        tables = run_tables(connection, run)
    for name in {table.connection_name for table in tables}:
        with tools.connections.connect(name, "fence") as connection:
            # Where a field changes its state, it does so for all who have values in it.
            whose = run.organization_id if run.purpose == "reencrypt" else None
            raise_fence(connection, whose, timeout_seconds=FENCE_SECONDS)
            wait_for_workers(connection, run.organization_id, timeout_seconds=FENCE_SECONDS)
    plan = run.plan or make_plan(tools, tables, run.organization_id, target)
    pieces = divide_tables(tools, tables)
    locked = store.load_run(job.connection, run.run_id, lock=True)
    if locked.state != "starting":
        return
    ranges.drop_open(job.connection, run.run_id)
    ranges.insert_ranges(
        job.connection, run.run_id, pieces, pass_number=locked.pass_number, is_check=False
    )
    store.change_run(
        job.connection,
        run.run_id,
        state="rewriting",
        plan=plan,
        zero_censuses=0,
        waiting_for=None,
        fenced_at=job.now,
        started_at=run.started_at or job.now,
    )
    ask_for_work(job.connection, locked)


def make_plan(
    tools: Tools, tables: list[Table], organization_id: int, target: int | None
) -> dict[str, Any]:
    """Predict what a run will do; nothing is written. Counts every value, so it takes a while."""
    predicted = []
    for table in tables:
        with tools.connections.connect(table.connection_name, "plan") as connection:
            wal = wal_position(connection)
            predicted.append(
                {**predict(connection, table, organization_id, target), "wal_position": wal}
            )
    return {"tables": predicted}


def divide_tables(tools: Tools, tables: list[Table]) -> list[NewRange]:
    """Divide tables into ranges, one table after the other."""
    divided = []
    for table in tables:
        with tools.connections.connect(table.connection_name, "plan") as connection:
            divided.append(divide(connection, table, read_statistics(connection, table)))
    return [piece for pieces in divided for piece in pieces]


def conclude(run: Run, job: RunningJob, tools: Tools) -> None:
    """Count what is left when all ranges of a pass are done, and go on accordingly."""
    with tools.ledger.connection() as ledger:
        tables = run_tables(ledger, run)
        if ranges.count_open(ledger, run.run_id)[0]:
            return
    if is_overtaken(run, tools):
        start_anew(store.load_run(job.connection, run.run_id, lock=True), job)
        return
    zeros = run.zero_censuses
    while not (left := _count_left(run, tables, tools)):
        zeros += 1
        if run.state == "verifying" or zeros >= ZERO_CENSUSES:
            break
    if left:
        _another_pass(run, job, tools, tables, left)
    elif run.state == "rewriting" and run.purpose != "decrypt":
        _verify(run, job, tools, tables, zeros)
    else:
        _complete(run, job, tools, tables, zeros)


def is_overtaken(run: Run, tools: Tools) -> bool:
    """Whether another key is active by now than the one that values are moved to."""
    if run.target_number is None:
        return False
    return tools.keyring.active_number(run.organization_id) != run.target_number


def start_anew(locked: Run, job: RunningJob) -> None:
    """Follow the key that has taken the place of the target: fence, plan and passes anew."""
    if locked.state not in ("rewriting", "verifying"):
        return
    store.change_run(
        job.connection,
        locked.run_id,
        state="starting",
        pass_number=locked.pass_number + 1,
        zero_censuses=0,
    )
    ask_to_prepare(job.connection, locked)


def _count_left(run: Run, tables: list[Table], tools: Tools) -> int:
    left = 0
    for table in tables:
        with (
            tools.connections.connect(table.connection_name, "census") as connection,
            tools.ledger.connection() as ledger,
        ):
            left += count_left(
                ledger,
                connection,
                table,
                organization_id=run.organization_id,
                target_number=run.target_number,
            )
    return left


def _another_pass(run: Run, job: RunningJob, tools: Tools, tables: list[Table], left: int) -> None:
    """Go over the tables once more, for the values that others wrote or kept locked."""
    pieces = divide_tables(tools, tables)
    locked = store.load_run(job.connection, run.run_id, lock=True)
    if locked.state not in ("rewriting", "verifying"):
        return
    number = locked.pass_number + 1
    ranges.insert_ranges(job.connection, run.run_id, pieces, pass_number=number, is_check=False)
    store.change_run(
        job.connection,
        run.run_id,
        state="rewriting",
        pass_number=number,
        zero_censuses=0,
        waiting_for=f"{left:,} values were written or locked by others: pass {number}",
    )
    _ask_for_work_after(job.connection, locked, job.now + _pause_before(number))


def _pause_before(pass_number: int) -> timedelta:
    """Return how long to wait before a pass: who is in the way after a few is so for longer."""
    late = pass_number - _PATIENT_PASSES
    return timedelta(seconds=min(_LONGEST_PAUSE_SECONDS, 2**late) if late > 0 else 0)


def _ask_for_work_after(connection: Connection, run: Run, run_at: datetime) -> None:
    ask_for_work(connection, run)
    connection.execute(
        """
        UPDATE keywright.job SET run_at = greatest(run_at, %(run_at)s)
         WHERE kind = 'reencryption.work' AND state = 'scheduled' AND unique_key LIKE %(begins)s
        """,
        {"run_at": run_at, "begins": f"{run.run_id}/%"},
    )


def _verify(run: Run, job: RunningJob, tools: Tools, tables: list[Table], zeros: int) -> None:
    """Have every value opened under the target key."""
    pieces = divide_tables(tools, tables)
    locked = store.load_run(job.connection, run.run_id, lock=True)
    if locked.state != "rewriting":
        return
    number = locked.pass_number + 1
    ranges.insert_ranges(job.connection, run.run_id, pieces, pass_number=number, is_check=True)
    store.change_run(
        job.connection,
        run.run_id,
        state="verifying",
        pass_number=number,
        zero_censuses=zeros,
        waiting_for=None,
    )
    ask_for_work(job.connection, locked)


def _complete(run: Run, job: RunningJob, tools: Tools, tables: list[Table], zeros: int) -> None:
    fields = [field for table in tables for field in table.fields]
    after = take_census(tools.connections, fields, run.organization_id)
    through = _fields_that_all_are_through_with(run, tables, tools)
    locked = store.load_run(job.connection, run.run_id, lock=True)
    if locked.state not in ("rewriting", "verifying"):
        return
    # The latest pass looked at every value that could be in quarantine.
    quarantine.release_unseen(
        job.connection,
        organization_id=run.organization_id,
        field_ids=run.field_ids,
        run_id=run.run_id,
        pass_number=locked.pass_number,
    )
    report = completion_report(
        job.connection, tools.connections, locked, tables, after, now=job.now
    )
    in_quarantine = sum(report["quarantined"].values())
    if run.purpose != "decrypt" or not in_quarantine:
        for field in through:
            _move(job.connection, field, _MOVES_AT_END.get(run.purpose))
    store.change_run(
        job.connection,
        run.run_id,
        state="completed",
        zero_censuses=zeros,
        waiting_for=None,
        finished_at=job.now,
        report=report,
    )
    tell(
        job.connection,
        ReencryptionCompleted(
            run_id=run.run_id,
            purpose=run.purpose,
            rewritten=report["rewritten"],
            quarantined=in_quarantine,
        ),
        organization_id=run.organization_id,
    )


def _fields_that_all_are_through_with(
    run: Run, tables: list[Table], tools: Tools
) -> list[EncryptedField]:
    """Return the fields of which no other organization has values in the state before."""
    through = []
    for table in tables:
        with tools.connections.connect(table.connection_name, "census") as connection:
            through += [
                field
                for index, field in enumerate(table.fields)
                if field.state not in ("encrypting", "decrypting")
                or not others_hold(
                    connection,
                    table,
                    index,
                    run.organization_id,
                    ciphertext=run.purpose == "decrypt",
                )
            ]
    return through


def _move(
    connection: Connection, field: EncryptedField, move: tuple[FieldState, FieldState] | None
) -> None:
    if move is not None:
        move_field(connection, field.field_id, from_state=move[0], to_state=move[1])
