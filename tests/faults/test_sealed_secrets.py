"""Sealed passwords in real workers, and a search for them through all that is left."""

from collections.abc import Callable

from tests.faults.keystore_vault import Vault, found, messages
from tests.integration.certificates.keystore_jobs.office import ASKER, issue
from workers.certificates.keystores.writing import write_keystore
from workers.contract import ExportKeystore, ImportKeystore
from workers.keys.sealing import seal
from workers.keys.sealing_keys import ensure_sealing_key, load_private_key, rotate_sealing_key

MARKER = "Marker-7c50-sealed-password"
KEY_MARKER = "Marker-e218-sealed-key-password"
WRONG_MARKER = "Marker-6a3b-wrong-password"


def test_sealed_passwords_and_the_keys_that_open_them_are_nowhere_in_the_clear(
    build: Callable[[str | None], Vault], broker_url: str
) -> None:
    vault = build(broker_url)
    acme = vault.office
    acme.keep("one", issue("one"))
    data = write_keystore(
        "jks", keys=[issue("two").entry("two")], password=MARKER, key_password=KEY_MARKER
    )
    root_keys = acme.tools.unsealer.root_keys
    key = ensure_sealing_key(acme.connection, root_keys)

    def sealed(kind: str, argument: str, secret: str, organization: str = "Acme") -> str:
        return seal(key, secret, organization=organization, kind=kind, argument=argument)

    def export(password: str = MARKER, *, organization: str = "Acme") -> ExportKeystore:
        kind = ExportKeystore.kind
        return ExportKeystore(
            requested_by=ASKER,
            format="jks",
            password=sealed(kind, "password", password, organization),
            key_password=sealed(kind, "key_password", KEY_MARKER),
        )

    def imported(password: str = MARKER) -> ImportKeystore:
        kind = ImportKeystore.kind
        return ImportKeystore(
            requested_by=ASKER,
            artifact=acme.bring(data),
            password=sealed(kind, "password", password),
            key_password=sealed(kind, "key_password", KEY_MARKER),
        )

    requests = (
        export(),
        imported(),
        imported(WRONG_MARKER),
        export("Marker-"),  # too short
        export(organization="Globex"),
        ExportKeystore(password=imported().password),  # what was sealed for another kind
    )
    rotate_sealing_key(acme.connection, root_keys)
    vault.start_scheduler()
    jobs = [vault.enqueue(request) for request in requests]
    sent = messages(vault)
    worker = vault.start_worker()
    done = vault.await_end(*jobs)
    assert [job.state for job in done] == ["succeeded"] * 2 + ["failed"] * 4
    refused = [job.problem["type"].rpartition(":")[2] for job in done if job.problem is not None]
    assert refused[-2:] == ["sealed-secret"] * 2

    private_key = load_private_key(acme.connection, root_keys, key.sealing_key_id)
    assert private_key is not None
    secrets = {"a password": b"Marker-", "a sealing key": private_key.reveal()}
    searched = {"messages": sent, **vault.everywhere(worker)}
    # What is no secret is found in this way: the sealed text, and who opened what.
    for known in (f"sealed:v1:{key.sealing_key_id}:".encode(), b"sealed_secret.open"):
        assert known in searched["database"]
    assert b"keystore.import" in searched["log"]
    assert found(secrets, searched) == []
