"""Imports by job, as tests ask for them and look at what is left."""

from functools import partial
from typing import Any

from tests.integration.certificates.keystore_jobs.office import ASKER, Office
from tests.integration.jobs.workbench import Workbench
from workers.certificates.keystore_jobs import import_keystore
from workers.contract import ImportKeystore
from workers.jobs.enqueue import enqueue
from workers.jobs.inspection import JobDetails


def ask(office: Office, data: bytes, **arguments: Any) -> tuple[int, ImportKeystore]:
    """Hand a keystore and its password in and enqueue the import."""
    given = {"password": office.hand(), "artifact": office.bring(data), **arguments}
    request = ImportKeystore(requested_by=ASKER, **given)
    enqueued = enqueue(office.connection, request, organization_id=office.organization_id)
    return enqueued.job_id, request


def run(office: Office, workbench: Workbench, data: bytes, **arguments: Any) -> JobDetails:
    """Import a keystore by a job."""
    job_id, request = ask(office, data, **arguments)
    handle = partial(import_keystore, tools=office.tools)
    return workbench.execute(handle, request, job_id=job_id)


def assert_nothing_changed(office: Office) -> None:
    """Nothing was imported, and the file and its password are there for another try."""
    for table in ("certificate", "certificate_version"):
        assert office.one(f"SELECT count(*) FROM keywright.{table}") == 0
    imported = "SELECT count(*) FROM keywright.announcement WHERE kind = 'keystore.imported'"
    assert office.one(imported) == 0
    assert office.one("SELECT bool_and(value IS NOT NULL) FROM keywright.handed_secret")
    assert office.one("SELECT bool_and(content IS NOT NULL) FROM keywright.artifact")
