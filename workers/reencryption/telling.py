"""What is announced of runs, in the transaction in which it happens."""

from datetime import timedelta

from workers.announcements.store import announce
from workers.contract.announcements import ReencryptionProgress
from workers.contract.announcements.keys import AboutRun
from workers.database.pool import Connection, Pool
from workers.reencryption import ranges, store
from workers.reencryption.progress import planned_total

PROGRESS_EVERY = timedelta(seconds=30)


def tell(connection: Connection, told: AboutRun, *, organization_id: int) -> None:
    """Announce what became of the run that ``told`` names."""
    announce(
        connection,
        told,
        organization_id=organization_id,
        subject=f"reencryption-run/{told.run_id}",
    )


def tell_progress(ledger: Pool, run_id: int, *, every: timedelta = PROGRESS_EVERY) -> bool:
    """Announce how far a run is; False: it is too early for that, or others are about to.

    It is said once in a while at most, and only if it has come a percent further: a run of a whole
    day makes no more than some two hundred announcements.
    """
    with ledger.connection() as connection, connection.transaction():
        told_percent = _last_told(connection, run_id, every)
        if told_percent is None:
            return False
        run = store.load_run(connection, run_id)
        is_check = run.state == "verifying"
        done = ranges.totals(
            connection,
            run_id,
            is_check=is_check,
            pass_number=run.pass_number if is_check else None,
        ).rewritten
        total = planned_total(run, done, is_check=is_check)
        percent = 100 * done // total if total else 0
        if percent == told_percent:
            return False
        store.change_run(connection, run_id, progress_told=percent)
        tell(
            connection,
            ReencryptionProgress(
                run_id=run_id,
                purpose=run.purpose,
                phase=run.state,
                done=done,
                total=total,
                percent=percent if total else None,
            ),
            organization_id=run.organization_id,
        )
        return True


def _last_told(connection: Connection, run_id: int, every: timedelta) -> int | None:
    """Return the percentage told last, if it is time to tell another; nobody waits for anybody."""
    row = connection.execute(
        """
        UPDATE keywright.reencryption_run SET progress_told_at = clock_timestamp()
         WHERE run_id IN (
               SELECT run_id FROM keywright.reencryption_run
                WHERE run_id = %(run_id)s AND state IN ('rewriting', 'verifying')
                  AND coalesce(progress_told_at, started_at, requested_at)
                      <= clock_timestamp() - %(every)s
                  FOR NO KEY UPDATE SKIP LOCKED)
        RETURNING progress_told
        """,
        {"run_id": run_id, "every": every},
    ).fetchone()
    return None if row is None else int(row[0])
