"""keystore.import in the hands of a worker: what keeps everything out."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.integration.certificates.keystore_jobs.import_desk import (
    ask,
    assert_nothing_changed,
    run,
)
from tests.integration.certificates.keystore_jobs.office import (
    PASSWORD,
    Office,
    issue,
)
from tests.integration.jobs.workbench import Workbench, problem
from tests.servers.waiting import until
from workers.certificates.keystore_jobs import import_keystore
from workers.certificates.keystores.writing import write_keystore
from workers.contract import ImportKeystore
from workers.jobs.inspection import show_job


def test_rule_28_a_name_clash_refuses_all_and_overwrites_nothing(
    acme: Office, workbench: Workbench
) -> None:
    here, brought = issue("here"), issue("brought")
    acme.keep("Saml", here)
    data = write_keystore(
        "jks", keys=[brought.entry("saml"), brought.entry("new")], password=PASSWORD
    )
    job = run(acme, workbench, data)
    assert job.state == "failed"
    assert problem(job)["type"] == "urn:keywright:problem:keystore-refused"
    detail = problem(job)["detail"]
    assert detail.startswith("Nothing was imported. ")
    assert "“saml” is there already" in detail
    assert acme.private_keys() == {"Saml": here.private_key}
    # The same file, under another name for the one alias.
    renamed = run(acme, workbench, data, names={"saml": "saml_2"})
    assert renamed.state == "succeeded"
    assert set(acme.certificates()) == {"Saml", "saml_2", "new"}
    # People know the entry by the name that it has in their file.
    assert renamed.result is not None
    assert [(each["alias"], each["unique_name"]) for each in renamed.result["entries"]] == [
        ("saml", "saml_2"),
        ("new", "new"),
    ]
    unknown = run(acme, workbench, data, names={"sam": "saml_3"})
    assert "no private key with the alias “sam”" in problem(unknown)["detail"]


def test_a_name_that_is_taken_at_the_last_moment_refuses_all(
    acme: Office, workbench: Workbench, conninfo: str
) -> None:
    data = write_keystore(
        "jks", keys=[issue("a").entry("a"), issue("b").entry("b")], password=PASSWORD
    )
    acme.tools.private_keys.make_ready(acme.organization_id)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with psycopg.connect(conninfo) as connection, ThreadPoolExecutor(1) as threads:
        replace(acme, connection=connection).keep("b", issue("theirs"))
        running = threads.submit(run, acme, workbench, data)
        with psycopg.connect(conninfo, autocommit=True) as observer:
            until(lambda: observer.execute(waiting).fetchone() == (1,), "the import to wait")
        connection.commit()
        job = running.result(30)
    assert job.state == "failed"
    assert "taken already: “b”" in problem(job)["detail"]
    assert set(acme.certificates()) == {"b"}
    assert acme.one("SELECT bool_and(value IS NOT NULL) FROM keywright.handed_secret")


def test_of_two_imports_at_the_same_time_one_takes_in_everything_and_the_other_nothing(
    acme: Office, workbench: Workbench
) -> None:
    data = write_keystore(
        "jks", keys=[issue("a").entry("a"), issue("b").entry("b")], password=PASSWORD
    )
    handed = {"password": acme.hand(), "artifact": acme.bring(data)}
    jobs = [ask(acme, data, **handed)[0] for _ in range(2)]
    handle = partial(import_keystore, tools=acme.tools)
    execution = Workbench(workbench.ledger, workbench.ledger).execution({ImportKeystore: handle})
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(execution.execute, jobs))
    states = sorted(show_job(acme.connection, each).state for each in jobs)
    assert states == ["failed", "succeeded"]
    assert set(acme.certificates()) == {"a", "b"}
    imported = "SELECT count(*) FROM keywright.announcement WHERE kind = 'keystore.imported'"
    assert acme.one(imported) == 1


def test_a_dry_run_lists_every_fault_at_once_and_uses_nothing_up(
    acme: Office, workbench: Workbench
) -> None:
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    strange, weak, fine = issue("strange"), issue("weak", key=small), issue("fine")
    data = write_keystore(
        "jks",
        keys=[strange.entry("two__words"), weak.entry("weak"), fine.entry("fine")],
        password=PASSWORD,
    )
    secret_id, artifact_id = acme.hand(), acme.bring(data)
    handed = {"password": secret_id, "artifact": artifact_id}
    job = run(acme, workbench, data, dry_run=True, **handed)
    assert job.state == "succeeded"
    assert job.result is not None
    assert job.result["imported"] is False
    assert [(each["alias"], each["code"]) for each in job.result["faults"]] == [
        ("two__words", "alias"),
        ("weak", "key-size"),
    ]
    assert [each["unique_name"] for each in job.result["entries"]] == ["fine"]
    assert_nothing_changed(acme)
    failed = run(acme, workbench, data, **handed)
    for said in ("“two__words”", "“weak” has 1,024 bits"):
        assert said in problem(failed)["detail"]
    assert_nothing_changed(acme)


@pytest.mark.parametrize(
    ("store_format", "key_password", "codes"),
    [
        ("pkcs12", None, ["format", "not-rsa"]),  # rules 24 and 26
        ("pem", None, ["format", "not-rsa"]),
        ("jks", "a password of the keys", ["key-password", "not-rsa"]),  # rule 25
    ],
)
def test_rules_24_to_26_strictness_follows_the_model(
    acme: Office,
    workbench: Workbench,
    store_format: Any,
    key_password: str | None,
    codes: list[str],
) -> None:
    data = write_keystore(
        store_format,
        keys=[issue("one").entry("one")],
        password=PASSWORD,
        key_password=key_password,
    )
    given = {} if key_password is None else {"key_password": acme.hand(key_password)}
    job = run(acme, workbench, data, strict=True, dry_run=True, **given)
    assert job.result is not None
    assert [each["code"] for each in job.result["faults"]] == codes
    lenient = run(acme, workbench, data, **given)
    assert lenient.state == "succeeded"


def test_rules_24_and_26_strictness_lets_an_rsa_key_in_jks_in(
    acme: Office, workbench: Workbench
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    data = write_keystore("jks", keys=[issue("a", key=key).entry("a")], password=PASSWORD)
    assert run(acme, workbench, data, strict=True).state == "succeeded"
    assert set(acme.certificates()) == {"a"}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: data[:-30], "cut off or damaged"),
        (lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], "password is wrong"),
        (lambda data: b"no keystore " * len(data), "no keystore of a known format"),
    ],
    ids=["truncated", "flipped", "other"],
)
def test_a_file_that_cannot_be_read_changes_nothing(
    acme: Office, workbench: Workbench, spoil: Any, said: str
) -> None:
    data = write_keystore("jks", keys=[issue("a").entry("a")], password=PASSWORD)
    job = run(acme, workbench, spoil(data))
    assert job.state == "failed"
    assert said in problem(job)["detail"]
    assert_nothing_changed(acme)
    wrong = run(acme, workbench, data, password=acme.hand("another password"))
    assert "password is wrong" in problem(wrong)["detail"]
    assert_nothing_changed(acme)


def test_what_was_handed_over_elsewhere_or_for_something_else_is_not_there(
    acme: Office, other: Office, workbench: Workbench
) -> None:
    data = write_keystore("jks", keys=[issue("a").entry("a")], password=PASSWORD)
    for arguments in ({"artifact": other.bring(data)}, {"password": other.hand()}):
        job = run(acme, workbench, data, **arguments)
        assert problem(job)["type"] == "urn:keywright:problem:not-found"
    exported = acme.bring(data)
    acme.connection.execute(
        "UPDATE keywright.artifact SET purpose = 'keystore_export' WHERE artifact_id = %s",
        [exported],
    )
    job = run(acme, workbench, data, artifact=exported)
    assert problem(job)["type"] == "urn:keywright:problem:not-found"
    assert acme.certificates() == {}
