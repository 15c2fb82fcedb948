"""keystore.import in the hands of a worker: what comes in, and as what."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from tests.integration.certificates.keystore_jobs.import_desk import run
from tests.integration.certificates.keystore_jobs.office import (
    ASKER,
    END,
    PASSWORD,
    Office,
    issue,
)
from tests.integration.jobs.workbench import Workbench
from workers.certificates.handover import fetch_artifact
from workers.certificates.keystore_jobs import export_keystore
from workers.certificates.keystores.entries import TrustedEntry
from workers.certificates.keystores.writing import write_keystore
from workers.contract import ExportKeystore
from workers.jobs.enqueue import enqueue


def test_rule_27_aliases_become_unique_names_and_the_leaf_says_which_kind(
    acme: Office, workbench: Workbench
) -> None:
    root = issue("Root", end=datetime(2030, 1, 1, tzinfo=UTC))
    leaf, own = issue("leaf", by=root), issue("own")
    data = write_keystore(
        "pkcs12",
        keys=[leaf.entry("web_server"), own.entry("own")],
        trusted=[TrustedEntry(alias="a_root", certificate=root.chain[0])],
        password=PASSWORD,
    )
    job = run(acme, workbench, data, private_keys_exportable=False)
    assert (job.state, job.problem) == ("succeeded", None)
    # The earliest end in the chain counts.
    assert acme.certificates() == {
        "web_server": (
            "ca_signed", False, datetime(2030, 1, 1, tzinfo=UTC), leaf.chain[0], [root.chain[0]],
        ),
        "own": ("self_signed", False, END, own.chain[0], []),
    }  # fmt: skip
    assert acme.private_keys() == {"web_server": leaf.private_key, "own": own.private_key}
    assert job.result is not None
    assert [(each["alias"], each["kind"], each["same_as"]) for each in job.result["entries"]] == [
        ("web_server", "ca_signed", None),
        ("own", "self_signed", None),
    ]
    assert (job.result["imported"], job.result["left_out"]) == (True, ["a_root"])
    announced = "SELECT data ->> 'certificates' FROM keywright.announcement WHERE kind = %s"
    assert acme.one(announced, "keystore.imported") == '["web_server", "own"]'
    # What was handed over for it is gone.
    assert acme.one("SELECT bool_and(value IS NULL) FROM keywright.handed_secret")
    artifact = acme.connection.execute(
        "SELECT artifact_id, content, fetches FROM keywright.artifact"
    ).fetchone()
    assert artifact is not None
    assert artifact[1:] == (None, 1)
    assert acme.fetches(artifact[0]) == [(f"job:{job.job_id}", None)]


@pytest.mark.parametrize("store_format", ["pkcs12", "jks", "pem"])
def test_rule_29_from_one_organization_to_another_nothing_is_lost(
    acme: Office, other: Office, workbench: Workbench, store_format: Any
) -> None:
    root = issue("Root")
    keys = {"own": issue("own"), "leaf": issue("leaf", by=issue("between", by=root))}
    for name, issued in keys.items():
        acme.keep(name, issued)
    export = ExportKeystore(requested_by=ASKER, password=acme.secret(), format=store_format)
    job_id = enqueue(acme.connection, export, organization_id=acme.organization_id).job_id
    exported = workbench.execute(partial(export_keystore, tools=acme.tools), export, job_id=job_id)
    assert exported.result is not None
    data = fetch_artifact(
        acme.connection,
        acme.tools.cipher,
        organization_id=acme.organization_id,
        artifact_id=UUID(exported.result["artifact"]),
        actor=ASKER,
    ).content
    assert run(other, workbench, data).state == "succeeded"
    assert other.certificates() == acme.certificates()
    assert other.private_keys() == acme.private_keys()
    assert set(other.certificates()) == set(keys)


def test_rule_56_tiers_that_are_past_are_not_told_of_what_was_imported(
    acme: Office, workbench: Workbench
) -> None:
    soon = issue("soon", end=datetime.now(UTC) + timedelta(days=20))
    data = write_keystore("pkcs12", keys=[soon.entry("soon")], password=PASSWORD)
    assert run(acme, workbench, data).state == "succeeded"
    days = acme.one(
        "SELECT round(extract(epoch FROM not_after - next_notice_at) / 86400)"
        " FROM keywright.certificate_version"
    )
    assert days <= 11


def test_a_certificate_that_is_here_under_another_name_is_said_to_be(
    acme: Office, workbench: Workbench
) -> None:
    issued = issue("one")
    acme.keep("one", issued)
    data = write_keystore("pkcs12", keys=[issued.entry("again")], password=PASSWORD)
    job = run(acme, workbench, data, dry_run=True)
    assert job.result is not None
    assert [each["same_as"] for each in job.result["entries"]] == ["one"]
