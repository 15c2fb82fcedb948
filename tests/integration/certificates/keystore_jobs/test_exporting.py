"""keystore.export in the hands of a worker."""

from functools import partial
from typing import Any
from uuid import UUID

import pytest

from tests.integration.certificates.keystore_jobs.office import (
    ASKER,
    BEGINNING,
    PASSWORD,
    Office,
    issue,
)
from tests.integration.jobs.workbench import Workbench, let_lease_run_out, problem
from tests.unit.certificates.certificate_maker import make_found
from workers.certificates.deletion import delete_certificate
from workers.certificates.handover import fetch_artifact
from workers.certificates.keystore_jobs import export_keystore
from workers.certificates.keystores.entries import KeystoreReading
from workers.certificates.keystores.reading import read_keystore
from workers.certificates.store import save_imported
from workers.contract import ExportKeystore
from workers.jobs.enqueue import enqueue
from workers.jobs.inspection import JobDetails
from workers.jobs.reaper import reap_expired_leases
from workers.jobs.running import RunningJob


def run(office: Office, workbench: Workbench, **arguments: Any) -> JobDetails:
    """Enqueue an export and execute it."""
    request = ExportKeystore(requested_by=ASKER, **arguments)
    job_id = enqueue(office.connection, request, organization_id=office.organization_id).job_id
    handle = partial(export_keystore, tools=office.tools)
    return workbench.execute(handle, request, job_id=job_id)


def fetched(office: Office, job: JobDetails) -> bytes:
    assert job.result is not None, job.problem
    return fetch_artifact(
        office.connection,
        office.tools.cipher,
        organization_id=office.organization_id,
        artifact_id=UUID(job.result["artifact"]),
        actor=ASKER,
    ).content


def read(data: bytes, key_password: str | None = None) -> KeystoreReading:
    return read_keystore(data, store_password=PASSWORD, key_password=key_password)


@pytest.mark.parametrize("store_format", ["pkcs12", "jks", "pem"])
def test_rule_23_all_certificates_go_and_private_keys_of_exportable_ones_only(
    acme: Office, workbench: Workbench, store_format: str
) -> None:
    root = issue("Root")
    leaf, kept_back = issue("leaf", by=root), issue("kept back")
    acme.keep("Leaf", leaf)
    acme.keep("kept_back", kept_back, exportable=False)
    acme.keep("waiting", issue("waiting"), signed=False)
    public = make_found("public")
    save_imported(
        acme.connection, organization_id=acme.organization_id, found=[public], now=BEGINNING
    )
    secret_id = acme.hand()
    job = run(acme, workbench, format=store_format, password=secret_id)
    reading = read(fetched(acme, job))
    assert reading.format == store_format
    assert {(each.alias, each.private_key, each.chain) for each in reading.keys} == {
        ("leaf", leaf.private_key, leaf.chain)
    }
    trusted = {each.certificate for each in reading.trusted}
    # The made-up public certificate is read by nobody but our lenient reader.
    assert kept_back.chain[0] in trusted
    assert job.result is not None
    assert {**job.result, "artifact": None, "size_bytes": None} == {
        "artifact": None,
        "file_name": {"pkcs12": "keystore.p12", "jks": "keystore.jks", "pem": "keystore.pem"}[
            store_format
        ],
        "size_bytes": None,
        "certificates": 3,
        "private_keys": 1,
        "without_private_key": ["kept_back", "public"],
        "unsigned": ["waiting"],
    }
    assert kept_back.private_key not in fetched(acme, job)
    [(subject, data)] = acme.connection.execute(
        "SELECT subject, data FROM keywright.announcement WHERE kind = 'keystore.exported'"
    ).fetchall()
    assert subject == f"artifact/{job.result['artifact']}"
    assert data == {
        "requested_by": ASKER,
        "job_id": job.job_id,
        "format": store_format,
        "certificates": 3,
        "private_keys": ["Leaf"],
    }
    used = "SELECT used_at IS NOT NULL AND value IS NULL FROM keywright.handed_secret"
    assert acme.one(used)


def test_a_chosen_subset_whatever_the_case_and_with_a_password_for_the_keys(
    acme: Office, other: Office, workbench: Workbench
) -> None:
    for name in ("one", "two", "three"):
        acme.keep(name, issue(name))
    other.keep("one", issue("a stranger"))
    job = run(
        acme,
        workbench,
        format="jks",
        password=acme.hand(),
        key_password=acme.hand("a password of the keys"),
        certificates=("ONE", "three"),
    )
    reading = read(fetched(acme, job), "a password of the keys")
    assert [each.alias for each in reading.keys] == ["one", "three"]
    assert all(each.has_own_password for each in reading.keys)
    assert {fault.code for fault in read(fetched(acme, job)).faults} == {"key-password"}


def test_the_newest_signed_version_is_exported(acme: Office, workbench: Workbench) -> None:
    old, new = issue("old"), issue("new")
    version_id = acme.keep("saml", old)
    acme.keep("other", new)
    acme.connection.execute(
        "UPDATE keywright.certificate_version SET version_number = 2, certificate_id ="
        " (SELECT certificate_id FROM keywright.certificate_version WHERE version_id = %s)"
        " WHERE version_id <> %s",
        [version_id, version_id],
    )
    job = run(acme, workbench, password=acme.hand(), certificates=("saml",))
    [entry] = read(fetched(acme, job)).keys
    assert (entry.alias, entry.chain) == ("saml", new.chain)


def test_what_was_deleted_does_not_leave(acme: Office, workbench: Workbench) -> None:
    for name in ("kept", "gone"):
        acme.keep(name, issue(name))
    delete_certificate(
        acme.connection, organization_id=acme.organization_id, unique_name="gone", now=acme.now
    )
    job = run(acme, workbench, password=acme.hand())
    assert [each.alias for each in read(fetched(acme, job)).keys] == ["kept"]
    named = run(acme, workbench, password=acme.hand(), certificates=("gone",))
    assert "named “gone”" in problem(named)["detail"]


def test_a_truststore_holds_no_private_key_and_in_pem_needs_no_password(
    acme: Office, workbench: Workbench
) -> None:
    issued = issue("one")
    acme.keep("one", issued)
    jks = run(acme, workbench, format="jks", truststore=True, password=acme.hand())
    reading = read(fetched(acme, jks))
    assert [each.certificate for each in reading.trusted] == [issued.chain[0]]
    assert reading.keys == ()
    pem = run(acme, workbench, format="pem", truststore=True)
    assert b"PRIVATE" not in fetched(acme, pem)
    assert pem.result is not None
    assert pem.result["file_name"] == "truststore.pem"
    assert acme.one(
        "SELECT array_agg(DISTINCT data ->> 'private_keys') FROM keywright.announcement"
        " WHERE kind = 'keystore.exported'"
    ) == ["[]"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"certificates": ("nobody", "saml")}, "named “nobody”"),
        ({"certificates": ("saml", "waiting")}, "Not signed yet: “waiting”"),
        ({"password": "seven77"}, "password: 8 to"),
        ({"key_password": "long enough"}, "key_password: only private keys in JKS"),
        ({"format": "jks", "key_password": "short"}, "password: 8 to"),
        ({"password": None}, "password: a keystore needs one"),
    ],
    ids=["missing", "unsigned", "rule_30", "key-password", "short-key-password", "none"],
)
def test_rule_30_what_cannot_be_exported_is_refused_and_uses_nothing_up(
    acme: Office, workbench: Workbench, arguments: dict[str, Any], said: str
) -> None:
    acme.keep("saml", issue("saml"))
    acme.keep("waiting", issue("waiting"), signed=False)
    given: dict[str, Any] = {"password": PASSWORD, **arguments}
    for name in ("password", "key_password"):
        if given.get(name) is not None:
            given[name] = acme.hand(given[name])
    job = run(acme, workbench, **given)
    assert job.state == "failed"
    assert said in problem(job)["detail"]
    assert acme.one("SELECT count(*) FROM keywright.artifact") == 0
    assert acme.one("SELECT count(*) FROM keywright.handed_secret WHERE used_at IS NOT NULL") == 0


def test_a_secret_serves_one_export(acme: Office, workbench: Workbench) -> None:
    acme.keep("one", issue("one"))
    secret_id = acme.hand()
    assert run(acme, workbench, password=secret_id).state == "succeeded"
    again = run(acme, workbench, password=secret_id)
    assert again.state == "failed"
    assert "used already" in problem(again)["detail"]
    assert acme.one("SELECT count(*) FROM keywright.artifact") == 1


def test_a_job_that_is_lost_half_way_and_done_again_leaves_one_artifact(
    acme: Office, workbench: Workbench
) -> None:
    acme.keep("one", issue("one"))
    request = ExportKeystore(requested_by=ASKER, password=acme.secret())
    job_id = enqueue(acme.connection, request, organization_id=acme.organization_id).job_id

    def lose_the_job(request: ExportKeystore, job: RunningJob) -> Any:
        result = export_keystore(request, job, tools=acme.tools)
        let_lease_run_out(acme.connection, job_id)
        assert reap_expired_leases(acme.connection) == 1
        return result

    workbench.execute(lose_the_job, request, job_id=job_id)
    assert acme.one("SELECT count(*) FROM keywright.artifact") == 0
    acme.connection.execute("UPDATE keywright.job SET run_at = now()")
    handle = partial(export_keystore, tools=acme.tools)
    done = workbench.execute(handle, request, job_id=job_id)
    assert (done.state, done.attempt) == ("succeeded", 2)
    # A message that comes twice finds nothing to do.
    assert workbench.execute(handle, request, job_id=job_id).attempt == 2
    assert acme.one("SELECT array_agg(job_id) FROM keywright.artifact") == [job_id]
    exported = "SELECT count(*) FROM keywright.announcement WHERE kind = 'keystore.exported'"
    assert acme.one(exported) == 1


def test_an_export_is_asked_for_one_organization_that_has_something(
    acme: Office, workbench: Workbench
) -> None:
    handle = partial(export_keystore, tools=acme.tools)
    nobodys = workbench.execute(handle, ExportKeystore(requested_by=ASKER, password=acme.secret()))
    assert problem(nobodys)["detail"].startswith("organization:")
    empty = run(acme, workbench, password=acme.hand())
    assert "no signed certificate" in problem(empty)["detail"]
