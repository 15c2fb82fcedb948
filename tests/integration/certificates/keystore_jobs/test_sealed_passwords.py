"""Jobs on keystores whose passwords came sealed."""

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from tests.integration.certificates.keystore_jobs.office import ASKER, PASSWORD, Office, issue
from tests.integration.jobs.workbench import Workbench, problem
from workers.certificates.handover import fetch_artifact
from workers.certificates.keystore_jobs import export_keystore, import_keystore
from workers.certificates.keystores.reading import read_keystore
from workers.certificates.keystores.writing import write_keystore
from workers.contract import ExportKeystore, ImportKeystore
from workers.jobs.enqueue import enqueue
from workers.jobs.inspection import JobDetails
from workers.keys.sealing import seal
from workers.keys.sealing_keys import ensure_sealing_key, rotate_sealing_key

KEY_PASSWORD = "another for the keys"
SEALED_SECRET = "urn:keywright:problem:sealed-secret"
EXPORT, IMPORT = ExportKeystore.kind, ImportKeystore.kind


def sealed(
    office: Office,
    secret: str = PASSWORD,
    *,
    name: str = "Acme",
    kind: str = EXPORT,
    argument: str = "password",
) -> str:
    """Seal a secret as a requester does."""
    key = ensure_sealing_key(office.connection, office.tools.unsealer.root_keys)
    return seal(key, secret, organization=name, kind=kind, argument=argument)


def run(
    office: Office, workbench: Workbench, request: ExportKeystore | ImportKeystore
) -> JobDetails:
    """Enqueue a job and execute it."""
    job_id = enqueue(office.connection, request, organization_id=office.organization_id).job_id
    handlers: dict[str, Any] = {EXPORT: export_keystore, IMPORT: import_keystore}
    handle = partial(handlers[request.kind], tools=office.tools)
    return workbench.execute(handle, request, job_id=job_id)


def openings(office: Office) -> list[tuple[int, str, str]]:
    """Return what is on record about secrets that were opened: organization, kind, argument."""
    return office.connection.execute(
        "SELECT organization_id, after ->> 'kind', after ->> 'argument'"
        "  FROM keywright.audit_entry WHERE action = 'sealed_secret.open' ORDER BY 3"
    ).fetchall()


def test_an_export_opens_its_passwords(acme: Office, workbench: Workbench) -> None:
    issued = issue("one")
    acme.keep("one", issued)
    job = run(
        acme,
        workbench,
        ExportKeystore(
            requested_by=ASKER,
            format="jks",
            password=sealed(acme),
            key_password=sealed(acme, KEY_PASSWORD, argument="key_password"),
        ),
    )
    assert job.result is not None, job.problem
    content = fetch_artifact(
        acme.connection,
        acme.tools.cipher,
        organization_id=acme.organization_id,
        artifact_id=UUID(job.result["artifact"]),
        actor=ASKER,
    ).content
    [key] = read_keystore(content, store_password=PASSWORD, key_password=KEY_PASSWORD).keys
    assert key.private_key == issued.private_key
    assert openings(acme) == [
        (acme.organization_id, EXPORT, "key_password"),
        (acme.organization_id, EXPORT, "password"),
    ]


def test_an_import_opens_its_password(acme: Office, workbench: Workbench) -> None:
    issued = issue("one")
    data = write_keystore("pkcs12", keys=[issued.entry("one")], password=PASSWORD)
    request = ImportKeystore(artifact=acme.bring(data), password=sealed(acme, kind=IMPORT))
    assert run(acme, workbench, request).state == "succeeded"
    assert acme.private_keys() == {"one": issued.private_key}


def test_a_sealed_and_a_handed_password_serve_together(acme: Office, workbench: Workbench) -> None:
    acme.keep("one", issue("one"))
    request = ExportKeystore(
        format="jks",
        password=sealed(acme),
        key_password=acme.secret(KEY_PASSWORD),
    )
    assert run(acme, workbench, request).state == "succeeded"
    assert acme.one("SELECT count(*) FROM keywright.handed_secret WHERE used_at IS NOT NULL") == 1


def test_that_a_secret_was_opened_stays_on_record_when_the_job_fails(
    acme: Office, workbench: Workbench
) -> None:
    job = run(acme, workbench, ExportKeystore(password=sealed(acme, "short")))
    assert "password: 8 to" in problem(job)["detail"]
    assert openings(acme) == [(acme.organization_id, EXPORT, "password")]


def test_that_a_handed_secret_was_opened_stays_on_record_likewise(
    acme: Office, workbench: Workbench
) -> None:
    secret = acme.secret("short")
    job = run(acme, workbench, ExportKeystore(password=secret))
    assert job.state == "failed"
    object_name = "SELECT object FROM keywright.audit_entry WHERE action = 'handed_secret.open'"
    assert acme.one(object_name) == f"handed-secret/{secret}"
    assert acme.one("SELECT bool_and(used_at IS NULL) FROM keywright.handed_secret")


@pytest.mark.parametrize(
    "place",
    [{"name": "Acme"}, {"name": "Acm"}, {"kind": IMPORT}, {"argument": "key_password"}],
    ids=str,
)
def test_what_was_sealed_for_another_place_is_refused_for_good(
    acme: Office, other: Office, workbench: Workbench, place: dict[str, str]
) -> None:
    acme.keep("one", issue("one"))
    other.keep("one", issue("one"))
    request = ExportKeystore(password=sealed(acme, **{"name": "Other"} | place))
    job = run(other, workbench, request)
    assert (job.state, job.attempt) == ("failed", 1)
    said = problem(job)
    assert said["type"] == SEALED_SECRET
    assert "seal it again, for keystore.export password of this organization" in said["detail"]
    assert PASSWORD not in str(job)
    assert openings(acme) == []
    assert acme.one("SELECT count(*) FROM keywright.artifact") == 0


def test_an_import_with_a_password_for_exports_leaves_the_file_for_another_try(
    acme: Office, workbench: Workbench
) -> None:
    data = write_keystore("pkcs12", keys=[issue("one").entry("one")], password=PASSWORD)
    artifact = acme.bring(data)
    job = run(acme, workbench, ImportKeystore(artifact=artifact, password=sealed(acme)))
    assert problem(job)["type"] == SEALED_SECRET
    again = ImportKeystore(artifact=artifact, password=sealed(acme, kind=IMPORT))
    assert run(acme, workbench, again).state == "succeeded"


def test_what_was_sealed_to_a_key_that_is_over_is_refused_and_names_the_key_to_use(
    acme: Office, workbench: Workbench
) -> None:
    late = sealed(acme)
    key = rotate_sealing_key(acme.connection, acme.tools.unsealer.root_keys, overlap=timedelta(0))
    job = run(acme, workbench, ExportKeystore(password=late))
    assert (job.state, job.attempt, problem(job)["type"]) == ("failed", 1, SEALED_SECRET)
    assert f"seal it again, to sealing key {key.sealing_key_id}" in problem(job)["detail"]


def test_a_sealed_text_that_was_altered_anywhere_is_refused(
    acme: Office, workbench: Workbench
) -> None:
    acme.keep("one", issue("one"))
    text = sealed(acme)
    start = text.rindex(":") + 1
    for position in range(start, len(text), 7):
        changed = "A" if text[position] != "A" else "B"
        altered = f"{text[:position]}{changed}{text[position + 1 :]}"
        job = run(acme, workbench, ExportKeystore(password=altered))
        assert problem(job)["type"] == SEALED_SECRET
    assert acme.one("SELECT count(*) FROM keywright.artifact") == 0
