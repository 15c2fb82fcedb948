"""Jobs on master keys, as tests ask for them and look at them."""

from typing import Any

from tests.integration.jobs.workbench import Workbench
from tests.integration.keys.keyholder import Keyholder
from workers.contract import RotateMasterKey
from workers.database.pool import Connection
from workers.jobs.enqueue import enqueue
from workers.jobs.execution import Handler
from workers.jobs.inspection import JobDetails


def ask(acme: Keyholder, expected_number: int, *, reencrypt: bool = False) -> int:
    """Ask for a rotation."""
    return enqueue(
        acme.connection,
        RotateMasterKey(expected_number=expected_number, reencrypt=reencrypt, reason="yearly"),
        organization_id=acme.organization_id,
    ).job_id


def execute(workbench: Workbench, handle: Handler, job_id: int) -> JobDetails:
    """Execute a rotation that was asked for."""
    return workbench.execute(handle, RotateMasterKey(expected_number=1), job_id=job_id)


def ledger(connection: Connection, kind: str) -> list[tuple[int, int | None, str | None, Any]]:
    """Return the jobs of a kind."""
    return connection.execute(
        "SELECT job_id, organization_id, unique_key, arguments FROM keywright.job"
        " WHERE kind = %s ORDER BY job_id",
        [kind],
    ).fetchall()
