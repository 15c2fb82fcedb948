"""Whatever is done with the functions that do it, is found under its name: table by table."""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

import pytest

from tests.integration.abuse.tenants import Tenants
from tests.integration.certificates.keystore_jobs.office import PASSWORD, issue
from tests.integration.keys.custody import PASSPHRASE, Custody, by_passphrase
from workers.audit.reading import list_entries
from workers.certificates.deletion import delete_certificate
from workers.certificates.handover import fetch_artifact
from workers.certificates.mutual_tls.enabling import enable
from workers.certificates.policies import save_policy
from workers.contract import (
    CleanUpCertificates,
    ExportKeystore,
    ImportKeystore,
    RestoreCertificate,
)
from workers.database.pool import Acting, Connection, act_as
from workers.errors import NotFoundError
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.importing import import_key
from workers.keys.policy import remove_rotation_policy, set_rotation_policy
from workers.keys.retiring import retire_root_key
from workers.keys.rewrapping import rewrap_some
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.file import FileRootKey
from workers.keys.states import State
from workers.keys.uploading import upload_key
from workers.organizations.members import NewMember
from workers.organizations.store import add_members, limit_open_jobs
from workers.reencryption.destruction import cancel_destruction, schedule_destruction
from workers.requesters.store import add_requester, set_enabled

ADA = Acting("operator:ada", "cli")
EMAIL = "grace@example.org"

Deed: TypeAlias = Callable[[Connection, Tenants], object]


def member(connection: Connection, tenants: Tenants) -> None:
    """Add one, and let her see more and then less."""
    add_members(
        connection,
        organization_id=tenants.acme.organization_id,
        members=[NewMember(name="Grace", email=EMAIL)],
    )
    for change in ("permissions = '{view_encrypted_data}'", "permissions = '{}'", "email = 'g@b'"):
        connection.execute(f"UPDATE keywright.member SET {change}".encode())


def requester(connection: Connection, _: Tenants) -> None:
    """Add one, and shut it out."""
    add_requester(connection, name="crm", broker_user="crm", database_role=None)
    set_enabled(connection, name="crm", enabled=False)


def certificate(_: Connection, tenants: Tenants) -> None:
    """Delete one, bring it back, delete it again and wait until it is purged."""
    acme = tenants.acme
    delete_certificate(
        acme.connection, organization_id=acme.organization_id, unique_name="spare", now=acme.now
    )
    assert tenants.run(RestoreCertificate(unique_name="spare")).problem is None
    delete_certificate(
        acme.connection, organization_id=acme.organization_id, unique_name="spare", now=acme.now
    )
    acme.connection.execute(
        "UPDATE keywright.certificate SET purge_at = now() WHERE deleted_at IS NOT NULL"
    )
    assert tenants.run(CleanUpCertificates()).problem is None


def rotation(connection: Connection, _: Tenants) -> None:
    """Have keys rotated by themselves, and then no more."""
    set_rotation_policy(connection, organization_id=1, every_days=30, reencrypt=True)
    remove_rotation_policy(connection, organization_id=1)


def fetches(connection: Connection, tenants: Tenants) -> None:
    """Fetch an artifact, and try to fetch one that is not there."""
    made = tenants.run(ExportKeystore(password=tenants.acme.secret(), requested_by="system:crm"))
    assert made.result is not None
    for artifact_id, is_there in ((made.result["artifact"], True), (uuid4(), False)):
        try:
            fetch_artifact(
                connection,
                tenants.acme.tools.cipher,
                organization_id=tenants.acme.organization_id,
                artifact_id=artifact_id,
                actor="system:crm",
            )
        except NotFoundError:
            assert not is_there


def keystore(_: Connection, tenants: Tenants) -> None:
    """Export one, and let the other organization import it."""
    acme, rival = tenants.acme, tenants.rival
    acme.keep("another", issue("another"))
    made = tenants.run(ExportKeystore(password=acme.secret(), certificates=("another",)))
    assert made.result is not None
    content = fetch_artifact(
        acme.connection,
        acme.tools.cipher,
        organization_id=acme.organization_id,
        artifact_id=made.result["artifact"],
        actor=made.requested_by,
    ).content
    done = tenants.run(
        ImportKeystore(artifact=rival.bring(content), password=rival.secret()), as_=rival
    )
    assert done.problem is None


CASES: dict[str, tuple[Deed, list[str]]] = {
    "the limit of an organization": (
        lambda c, t: limit_open_jobs(c, organization_id=t.acme.organization_id, most=5),
        ["organization.update organization/1"],
    ),
    "mutual TLS": (
        lambda c, t: enable(c, organization_id=1, by="ada", now=t.acme.now),
        ["organization.update organization/1"],
    ),
    "a member": (
        member,
        [
            "member.create member/1",
            "member.grant member/1",
            "member.revoke member/1",
            "member.update member/1",
        ],
    ),
    "a requester": (
        requester,
        ["requester.create requester/1", "requester.disable requester/1"],
    ),
    "a policy for certificates": (
        lambda c, _: save_policy(
            c,
            organization_id=1,
            rekey_days_before=30,
            delete_expired_after_days=None,
            grace_days=30,
        ),
        ["certificate_policy.create certificate-policy/1"],
    ),
    "a policy for rotation": (
        rotation,
        ["rotation_policy.create rotation-policy/1", "rotation_policy.delete rotation-policy/1"],
    ),
    "a certificate": (
        certificate,
        [
            "certificate.delete certificate/2",
            "certificate.restore certificate/2",
            "certificate.delete certificate/2",
            "certificate.update certificate/2",
            "certificate_version.purge certificate-version/2",
            "certificate.purge certificate/2",
        ],
    ),
    "an artifact": (
        fetches,
        [
            "handed_secret.create handed-secret/…",
            "handed_secret.open handed-secret/…",
            "artifact.create artifact/…",
            "handed_secret.use_up handed-secret/…",
            "keystore.export artifact/…",
            "artifact.fetch artifact/…",
            "artifact.refuse artifact/…",
        ],
    ),
    "keystores": (
        keystore,
        [
            "certificate.create certificate/5",
            "certificate_version.create certificate-version/5",
            *("handed_secret.create handed-secret/…", "handed_secret.open handed-secret/…"),
            *("artifact.create artifact/…", "handed_secret.use_up handed-secret/…"),
            *("keystore.export artifact/…", "artifact.fetch artifact/…"),
            *("artifact.create artifact/…", "handed_secret.create handed-secret/…"),
            *("handed_secret.open handed-secret/…", "artifact.fetch artifact/…"),
            "certificate.create certificate/6",
            "certificate_version.create certificate-version/6",
            *("handed_secret.use_up handed-secret/…", "artifact.delete artifact/…"),
            "keystore.import artifact/…",
        ],
    ),
    "a row under another name": (
        lambda c, _: c.execute("UPDATE keywright.tier SET tier_days = 59 WHERE tier_days = 60"),
        ["tier.update tier/59", "tier.update tier/60"],
    ),
    "everything of a table at once": (
        lambda c, _: c.execute("TRUNCATE keywright.certificate_policy"),
        ["certificate_policy.truncate certificate-policy/*"],
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_what_is_done_is_found(connection: Connection, tenants: Tenants, what: str) -> None:
    deed, expected = CASES[what]
    act_as(connection, ADA, for_session=True)
    before = list_entries(connection, limit=1)[0].entry_id
    deed(connection, tenants)
    entries = [each for each in reversed(list_entries(connection)) if each.entry_id > before]
    found = [
        f"{each.action} {re.sub('[0-9a-f]{8}-[0-9a-f-]{27}', '…', each.object)}" for each in entries
    ]
    assert sorted(found) == sorted(expected)
    assert {(each.actor, each.door) for each in entries} == {("operator:ada", "cli")}
    whole = str(entries)
    for secret in (PASSWORD, EMAIL, "g@b", "PRIVATE KEY"):
        assert secret not in whole
    assert not re.search(r"x30[0-9a-f]{300}", whole)  # DER
    if what == "a member":
        assert (entries[-1].after or {})["changed"] == ["email"]


def test_the_life_of_a_master_key_is_told_from_beginning_to_end(
    connection: Connection, tmp_path: Path
) -> None:
    act_as(connection, ADA, for_session=True)
    custody = Custody.of(connection, tmp_path)
    owner = custody.organization_id
    file = custody.exported()
    schedule_destruction(
        connection,
        organization_id=owner,
        number=1,
        at=datetime.now(UTC) + timedelta(days=30),
        actor="ada",
        reason="old",
    )
    cancel_destruction(connection, organization_id=owner, number=1, actor="ada")
    custody.move(1, State.SUSPENDED, State.ARCHIVED, State.COMPROMISED, State.DESTROYED)
    import_key(
        connection,
        custody.root_keys,
        organization_id=owner,
        number=1,
        file=file,
        opener=by_passphrase,
        actor="ada",
        reason="needed again",
    )
    secret = CleartextKey(os.urandom(32))
    upload_key(
        connection,
        custody.root_keys,
        organization_id=owner,
        secret=secret,
        actor="ada",
        reason="our own",
    )
    entries = list(reversed(list_entries(connection, action="master_key.*")))
    assert [f"{each.action} {each.object}" for each in entries] == [
        f"master_key.{verb} master-key/{owner}/{number}"
        for verb, number in (
            *(("generate", 1), ("activate", 1), ("generate", 2), ("archive", 1), ("rotate", 2)),
            *(("export", 1), ("schedule_destruction", 1), ("keep", 1), ("suspend", 1)),
            *(("reinstate", 1), ("compromise", 1), ("destroy", 1), ("import", 1)),
            *(("upload", 3), ("archive", 2), ("rotate", 3)),
        )
    ]
    assert entries[12].reason == "needed again"
    assert {each.actor for each in entries} == {"operator:ada"}
    assert PASSPHRASE not in str(entries)


def test_a_root_key_that_is_retired_stands_in_the_record(
    connection: Connection, tmp_path: Path
) -> None:
    custody = Custody.of(connection, tmp_path)
    old = custody.root_keys.current
    new = FileRootKey(tmp_path / "new.key", create_if_missing=True)
    rewrap_some(connection, RootKeys(new, [old]), limit=10)
    act_as(connection, ADA, for_session=True)
    retire_root_key(connection, old.identifier, current=new.identifier)
    [entry] = list_entries(connection, action="root_key.*")
    assert (entry.action, entry.object, entry.before, entry.actor) == (
        "root_key.retire",
        f"root-key/{old.identifier}",
        {"wraps": 2},
        "operator:ada",
    )
