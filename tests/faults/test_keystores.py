"""Jobs on keystores in real workers: killed in the middle, and searched for what they must hide."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from tests.faults.keystore_vault import Vault, found, messages
from tests.integration.certificates.keystore_jobs.office import (
    ASKER,
    issue,
)
from tests.servers.waiting import until
from workers.certificates.handover import fetch_artifact
from workers.certificates.keystores.writing import write_keystore
from workers.contract import ExportKeystore, ImportKeystore

MARKER = "Marker-4f1c-store-password"
KEY_MARKER = "Marker-9b7e-key-password"
WRONG_MARKER = "Marker-0d35-wrong-password"

GATE = """
CREATE TABLE public.gate (opened boolean);
CREATE FUNCTION public.wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WHILE NOT EXISTS (SELECT FROM public.gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
    RETURN NEW;
END $$;
-- An import has written certificates and versions, and not yet their private keys.
CREATE TRIGGER gate BEFORE UPDATE OF private_key ON keywright.certificate_version FOR EACH ROW
    WHEN (current_setting('application_name') = 'keywright worker')
    EXECUTE FUNCTION public.wait_at_gate();
-- An export has written its keystore, and uses its password up.
CREATE TRIGGER gate BEFORE UPDATE OF value ON keywright.handed_secret FOR EACH ROW
    WHEN (current_setting('application_name') = 'keywright worker')
    EXECUTE FUNCTION public.wait_at_gate();
"""
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"


def test_a_worker_killed_in_the_middle_of_an_import_or_export_leaves_all_or_nothing(
    build: Callable[[str | None], Vault],
) -> None:
    vault = build(None)
    acme = vault.office
    kept = issue("kept")
    acme.keep("kept", kept)
    keys = {f"new_{number}": issue(f"new {number}") for number in range(5)}
    data = write_keystore(
        "pkcs12", keys=[each.entry(name) for name, each in keys.items()], password=MARKER
    )
    acme.connection.execute(GATE)
    requests = (
        ImportKeystore(requested_by=ASKER, artifact=acme.bring(data), password=acme.secret(MARKER)),
        ExportKeystore(requested_by=ASKER, password=acme.secret(MARKER), certificates=("kept",)),
    )
    vault.start_scheduler()
    victim = vault.start_worker()
    jobs = [vault.enqueue(request) for request in requests]
    until(lambda: acme.one(WAITING) == 2, "both jobs to be in the middle")
    victim.kill()
    assert (vault.count("certificate"), vault.count("certificate_version")) == (1, 1)
    assert vault.count("artifact") == 1
    vault.start_worker()
    until(lambda: all(vault.job(each).attempt == 2 for each in jobs), "another to take them over")
    acme.connection.execute("INSERT INTO gate VALUES (true)")
    imported, exported = vault.await_end(*jobs)
    assert (imported.state, exported.state) == ("succeeded", "succeeded"), imported.problem
    assert acme.private_keys() == {
        "kept": kept.private_key,
        **{name: each.private_key for name, each in keys.items()},
    }
    # The one handed in, whose content is gone, and the one that the export made.
    assert vault.count("artifact") == 2
    assert acme.one("SELECT count(*) FROM keywright.artifact WHERE content IS NOT NULL") == 1
    assert acme.one("SELECT bool_and(value IS NULL) FROM keywright.handed_secret")
    kinds = "SELECT array_agg(kind ORDER BY kind) FROM keywright.announcement WHERE kind ~ '^key'"
    assert acme.one(kinds) == ["keystore.exported", "keystore.imported"]


def test_rule_30_passwords_and_private_keys_are_nowhere_but_encrypted(
    build: Callable[[str | None], Vault], broker_url: str
) -> None:
    vault = build(broker_url)
    acme = vault.office
    issued = issue("one")
    acme.keep("one", issued)
    brought = issue("brought")
    data = write_keystore(
        "jks", keys=[brought.entry("brought")], password=MARKER, key_password=KEY_MARKER
    )

    def handed(store: str = MARKER, key: str = KEY_MARKER) -> dict[str, Any]:
        return {"password": acme.hand(store), "key_password": acme.hand(key)}

    vault.start_scheduler()
    unread = acme.bring(data)
    jobs = [
        vault.enqueue(request)
        for request in (
            ExportKeystore(requested_by=ASKER, format="jks", **handed()),
            ImportKeystore(requested_by=ASKER, artifact=acme.bring(data), **handed()),
            ImportKeystore(requested_by=ASKER, artifact=unread, **handed(WRONG_MARKER)),
            ImportKeystore(requested_by=ASKER, artifact=unread, dry_run=True, **handed()),
            ExportKeystore(requested_by=ASKER, password=acme.secret("Marker-")),
        )
    ]
    acme.hand(MARKER)  # and one that nobody has used yet
    sent = messages(vault)
    worker = vault.start_worker()
    done = vault.await_end(*jobs)
    states = ["succeeded", "succeeded", "failed", "succeeded", "failed"]
    assert [job.state for job in done] == states
    assert done[0].result is not None
    exported = fetch_artifact(
        acme.connection,
        acme.tools.cipher,
        organization_id=acme.organization_id,
        artifact_id=UUID(done[0].result["artifact"]),
        actor=ASKER,
    ).content

    secrets = {
        "a password": b"Marker-",
        "a private key": issued.private_key[40:60],
        "a private key that was brought": brought.private_key[40:60],
        "a keystore": exported[60:90],
        "a keystore that was brought": data[60:90],
    }
    searched = {"messages": sent, **vault.everywhere(worker)}
    assert len(searched) >= 3 + 4  # the worker and its helper that reads keystores
    # What is no secret is found in this way.
    for known in (b"keystore.export", issued.chain[0].hex().encode()):
        assert known in searched["database"]
    assert b"keystore.import" in searched["log"]
    assert found(secrets, searched) == []
