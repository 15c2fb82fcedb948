"""The work on one range: read, reseal, write; or read and open everything, in a check.

Nothing is ever locked while keys are at work: a value is written only if it is still what was read
(compare-and-swap on the ciphertext), so whoever wrote meanwhile wins, and the next pass sees to it.
"""

import time
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import psycopg

from workers.database.pool import Connection, act_as
from workers.encryption.bulk import Fault
from workers.encryption.row_keys import columns_encoder
from workers.jobs.retry import LeaseLostError
from workers.jobs.running import RunningJob
from workers.reencryption import order, quarantine
from workers.reencryption.arrays import send_arrays
from workers.reencryption.at_work import at_work
from workers.reencryption.batch import Batch, batch_of_due, columns_of
from workers.reencryption.moved import MovedRows
from workers.reencryption.options import RunOptions
from workers.reencryption.pacing import FEWEST_ROWS, FIRST_ROWS, next_rows
from workers.reencryption.ranges import Range, RangeRecord, is_wanted
from workers.reencryption.reading import Row, open_reader, read_piece
from workers.reencryption.resealing import FieldResealer
from workers.reencryption.signals import Monitor
from workers.reencryption.statements import Statements
from workers.reencryption.store import Run, State, known_numbers
from workers.reencryption.tables import Table, key_text
from workers.reencryption.tools import Tools

AT_WORK: tuple[State, ...] = ("rewriting", "verifying")

# Somebody keeps a row or the table locked, or has moved a row to another partition.
_IN_THE_WAY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)


class RunInterrupted(Exception):  # noqa: N818  # no error: the run wants something else now
    """The run was paused, cancelled, or is to go to another key: leave the range where it is."""


class RangeWorker:
    """Works on ranges of one table, one after the other, over one connection to its database."""

    def __init__(
        self,
        run: Run,
        table: Table,
        *,
        connection: Connection,
        monitor: Monitor,
        job: RunningJob,
        tools: Tools,
    ) -> None:
        self._run = run
        self._table = table
        self._connection = connection
        self._monitor = monitor
        self._job = job
        self._tools = tools
        self._options = RunOptions.from_json(run.options)
        with tools.ledger.connection() as ledger:
            numbers = known_numbers(ledger, run.organization_id)
        self._statements = Statements(
            table,
            organization_id=run.organization_id,
            target_number=run.target_number,
            known_numbers=numbers,
        )
        self._keys = len(table.key_columns)
        self._encode = columns_encoder(table.key_types)
        self._resealers = [
            FieldResealer(
                tools.keyring,
                field,
                organization_id=run.organization_id,
                target_number=run.target_number,
                takes_plaintext=run.purpose != "reencrypt" or field.state == "encrypting",
            )
            for field in table.fields
        ]
        self._moved = MovedRows(run, table, self._statements, connection, tools)
        self._rows = FIRST_ROWS
        self._is_own = tools.connections.is_own(table.connection_name)
        statement = (
            self._statements.write_and_record() if self._is_own else self._statements.write()
        )
        self._write = statement.as_string(connection)
        send_arrays(connection)
        self._cursor = connection.cursor(binary=True)
        # Data and its record are flushed together, and a later commit flushes both: what a crash of
        # the server takes back is only rewritten once more.
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET lock_timeout = '150ms'")
        # Few rows by their keys, whatever the server thinks of arrays and of the table's size; and
        # the same plan each time, for to plan with hundreds of values takes a good part of a batch.
        connection.execute("SET plan_cache_mode = force_generic_plan")
        join = "nestloop" if self._keys == 1 else "hashjoin"  # the other one is how to find them
        for plan in ("seqscan", "mergejoin", join):
            connection.execute(f"SET enable_{plan} = off")

    def work_on(self, piece: Range) -> None:
        """Rewrite, or check, a range from its position to its end.

        Raises:
            RunInterrupted: the run wants something else, or the range is not ours any more.
            TooManyUnopenedError: a person has to look.
        """
        try:
            self._work_on(piece)
        except LeaseLostError:
            # The range is gone, which need not mean the job: that is seen when it ends.
            raise RunInterrupted from None

    def _work_on(self, piece: Range) -> None:
        handle = self._check if piece.is_check else self._rewrite
        record = RangeRecord(self._tools.ledger, piece.range_id, self._job.claimed)
        reader = open_reader(self._connection, self._table, self._statements, piece)
        while not reader.is_through:
            rows = read_piece(reader, order.rows_at_a_time(self._rows))
            self._heed_others()
            if rows:
                handle(piece, rows, record)
            record.add(position=reader.position, finished=reader.is_through)

    def _heed_others(self) -> None:
        """Return once the run may go on."""
        waited = False
        while True:
            self._job.stop_if_asked()
            if self._monitor.run_state not in (*AT_WORK, None):
                raise RunInterrupted
            decision = self._monitor.decision
            if decision.what == "less":
                self._rows = max(FEWEST_ROWS, self._rows // 2)
            if decision.what != "wait":
                break
            waited = True
            self._monitor.wait_for_news()
        if waited:
            for resealer in self._resealers:
                resealer.forget_keys()

    # ------------------------------------------------------------------------------- rewriting

    def _rewrite(self, piece: Range, rows: Sequence[Row], record: RangeRecord) -> None:
        with at_work(self._connection, self._run.organization_id):
            if not is_wanted(self._tools.ledger, piece, self._job.claimed, self._run.target_number):
                raise RunInterrupted
            self._reseal(piece, rows, record)

    def _reseal(self, piece: Range, rows: Sequence[Row], record: RangeRecord) -> None:
        columns = columns_of(rows)
        keys, stored = columns[: self._keys], columns[self._keys :]
        if self._run.target_number is not None:
            self._account(len(rows) * len(stored))
        row_keys = self._encode(keys)
        resealed = [
            resealer.reseal(row_keys, values)
            for resealer, values in zip(self._resealers, stored, strict=True)
        ]
        self._quarantine(piece, keys, stored, [each.faults for each in resealed], record)
        batch = batch_of_due(keys, stored, [each.new_values for each in resealed])
        for indices in order.in_strides(batch.rows):
            self._write_rows(piece, batch, indices, record)

    def _account(self, uses: int) -> None:
        key = self._tools.keyring.active_key(self._run.organization_id, uses=uses)
        if key.number != self._run.target_number:
            raise RunInterrupted  # it has given way to another: the run is to follow

    def _write_rows(self, piece: Range, batch: Batch, indices: range, record: RangeRecord) -> None:
        """Write the rows at ``indices`` in transactions of at most ``self._rows``."""
        while indices:
            taken, rest = indices[: self._rows], indices[self._rows :]
            began = time.perf_counter()
            try:
                self._write_at_once(piece, batch, taken, record)
            except _IN_THE_WAY:
                self._heed_others()
                self._rows = max(FEWEST_ROWS, self._rows // 2)
                if len(taken) == 1:
                    record.add(conflicts=1)  # locked for longer: the next pass comes back to it
                else:
                    half = len(taken) // 2
                    self._write_rows(piece, batch, taken[:half], record)
                    self._write_rows(piece, batch, taken[half:], record)
            else:
                self._rows = next_rows(
                    self._rows,
                    time.perf_counter() - began,
                    aim_seconds=self._options.limits.aim_seconds,
                )
            indices = rest

    def _write_at_once(
        self, piece: Range, batch: Batch, indices: range, record: RangeRecord
    ) -> None:
        parameters = batch.parameters(indices, self._table)
        if self._is_own:
            parameters |= {
                "asked": len(indices),
                "range_id": piece.range_id,
                "claim": self._job.claimed.claim,
            }
            if self._cursor.execute(self._write, parameters).rowcount != 1:
                raise record.lost()
            return
        written = self._cursor.execute(self._write, parameters).rowcount
        record.add(rows=written, conflicts=len(indices) - written)

    # -------------------------------------------------------------------------------- checking

    def _check(self, piece: Range, rows: Sequence[Row], record: RangeRecord) -> None:
        columns = columns_of(rows)
        keys, stored = columns[: self._keys], columns[self._keys :]
        row_keys = self._encode(keys)
        faults = [
            resealer.verify(row_keys, values)
            for resealer, values in zip(self._resealers, stored, strict=True)
        ]
        self._quarantine(piece, keys, stored, faults, record)
        record.add(rows=len(rows))

    # ------------------------------------------------------------------------------ quarantine

    def _quarantine(
        self,
        piece: Range,
        keys: Sequence[Sequence[Any]],
        stored: Sequence[Sequence[Any]],
        faults: Sequence[Sequence[Fault]],
        record: RangeRecord,
    ) -> None:
        if not any(faults):
            return
        unopened = [
            quarantine.Unopened(
                field_id=field.field_id,
                row_key=tuple(key_text(column[fault.position]) for column in keys),
                fault_class=fault.fault_class,
                key_number=fault.key_number,
                value_hash=_hash(values[fault.position]),
            )
            for field, values, found in zip(self._table.fields, stored, faults, strict=True)
            for fault in self._moved.recognize(field, keys, values, found)
        ]
        with self._tools.ledger.connection() as ledger, ledger.transaction():
            act_as(ledger, self._job.acting)
            quarantine.quarantine_values(
                ledger,
                unopened,
                organization_id=self._run.organization_id,
                run_id=self._run.run_id,
                pass_number=piece.pass_number,
            )
            seen = quarantine.count_seen(ledger, self._run.run_id)
        record.add(quarantined=len(unopened))
        if seen > self._options.most_quarantined:
            raise quarantine.TooManyUnopenedError(
                f"more than {self._options.most_quarantined:,} values do not open; `keywright"
                " reencryption quarantine` shows why. Most likely a key is missing: import it, then"
                " resume"
            )


def _hash(value: bytes | str) -> bytes:
    return sha256(value if isinstance(value, bytes) else value.encode()).digest()
