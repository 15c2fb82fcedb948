"""Artifacts: encrypted at rest, for those allowed, every fetch and refusal on record."""

from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.integration.certificates.keystore_jobs.office import ASKER, HOUR, Office
from tests.integration.jobs.workbench import Workbench
from workers.certificates.handover import drop_artifact, fetch_artifact, keep_artifact
from workers.certificates.handover.artifacts import MOST_BYTES, Artifact, delete_artifact
from workers.certificates.handover.purging import purge_handover
from workers.contract import PurgeHandover
from workers.errors import ConflictError, InvalidRequestError, NotFoundError

CONTENT = b"the content of a keystore"


def fetch(acme: Office, artifact_id: UUID, actor: str = ASKER) -> Artifact:
    return fetch_artifact(
        acme.connection,
        acme.tools.cipher,
        organization_id=acme.organization_id,
        artifact_id=artifact_id,
        actor=actor,
    )


def test_who_asked_fetches_what_was_kept_and_it_lies_encrypted(acme: Office) -> None:
    artifact_id = acme.bring(CONTENT)
    assert CONTENT[:8] not in acme.one("SELECT content FROM keywright.artifact")
    for _ in range(2):
        artifact = fetch(acme, artifact_id)
        assert (artifact.content, artifact.file_name) == (CONTENT, "brought.p12")
    assert "the content" not in repr(artifact)
    assert acme.one("SELECT fetches FROM keywright.artifact") == 2
    assert acme.fetches(artifact_id) == [(ASKER, None)] * 2


def test_a_member_who_manages_certificates_fetches_and_nobody_else_does(acme: Office) -> None:
    artifact_id = acme.bring(CONTENT)
    manager, clerk, gone = (
        f"member:{acme.member(name, permissions=permissions)}"
        for name, permissions in (
            ("ada", ("manage_certificates",)),
            ("bob", ("modify_all_data", "view_encrypted_data")),
            ("eve", ("manage_certificates",)),
        )
    )
    acme.connection.execute("UPDATE keywright.member SET active = false WHERE name = 'eve'")
    assert fetch(acme, artifact_id, manager).content == CONTENT
    strangers = (clerk, gone, "cli:mallory", "member:999", "member:x")
    for stranger in strangers:
        with pytest.raises(NotFoundError):
            fetch(acme, artifact_id, stranger)
    assert acme.fetches(artifact_id) == [
        (manager, None),
        *((stranger, "not_allowed") for stranger in strangers),
    ]
    assert acme.one("SELECT fetches FROM keywright.artifact") == 1


def test_a_member_who_asked_and_may_not_any_more_is_refused(acme: Office) -> None:
    member = f"member:{acme.member('ada')}"
    artifact_id = acme.bring(CONTENT, by=member)
    assert fetch(acme, artifact_id, member).content == CONTENT
    acme.connection.execute("UPDATE keywright.member SET permissions = '{}'")
    with pytest.raises(NotFoundError):
        fetch(acme, artifact_id, member)


def test_wrong_organization_wrong_id_and_wrong_actor_are_answered_alike_and_recorded(
    acme: Office, other: Office
) -> None:
    artifact_id, unknown = acme.bring(CONTENT), uuid4()
    messages = set()
    for office, asked, actor in (
        (other, artifact_id, ASKER),
        (other, artifact_id, f"member:{acme.member('ada')}"),
        (acme, unknown, ASKER),
        (acme, artifact_id, "cli:mallory"),
    ):
        with pytest.raises(NotFoundError) as refused:
            fetch(office, asked, actor)
        messages.add(str(refused.value).replace(str(asked), "…"))
    assert len(messages) == 1
    assert [reason for _, reason in acme.fetches(artifact_id)] == [
        "unknown",
        "unknown",
        "not_allowed",
    ]
    assert acme.fetches(unknown) == [(ASKER, "unknown")]
    assert acme.one("SELECT fetches FROM keywright.artifact") == 0


def test_a_refusal_stays_on_record_so_no_transaction_may_take_it_back(acme: Office) -> None:
    artifact_id = acme.bring(CONTENT)
    with (
        pytest.raises(InvalidRequestError, match="in a transaction"),
        acme.connection.transaction(),
    ):
        fetch(acme, artifact_id)


def test_an_artifact_that_expired_or_was_deleted_is_gone(
    acme: Office, workbench: Workbench
) -> None:
    expired, deleted, kept = (acme.bring(CONTENT) for _ in range(3))
    secret_id, kept_secret = acme.hand(), acme.hand()
    for table, column in (("artifact", "artifact_id"), ("handed_secret", "secret_id")):
        made = "made_at" if table == "artifact" else "handed_at"
        acme.connection.execute(
            f"UPDATE keywright.{table} SET {made} = now() - interval '2 hours',"
            f" expires_at = now() - interval '1 second' WHERE {column} = ANY (%s)",
            [[expired, secret_id]],
        )
    drop_artifact(acme.connection, organization_id=acme.organization_id, artifact_id=deleted)
    for artifact_id in (expired, deleted):
        with pytest.raises(ConflictError, match="is gone"):
            fetch(acme, artifact_id)
        with pytest.raises(NotFoundError):
            fetch(acme, artifact_id, "cli:mallory")
        assert acme.fetches(artifact_id) == [(ASKER, "gone"), ("cli:mallory", "not_allowed")]
    job = workbench.execute(purge_handover, PurgeHandover())
    assert job.result == {"secrets": 1, "artifacts": 1}
    assert workbench.execute(purge_handover, PurgeHandover()).result == {
        "secrets": 0,
        "artifacts": 0,
    }
    rows = acme.connection.execute(
        "SELECT artifact_id FROM keywright.artifact WHERE content IS NOT NULL AND gone_at IS NULL"
    ).fetchall()
    assert rows == [(kept,)]
    assert acme.one(
        "SELECT array_agg(secret_id) FROM keywright.handed_secret WHERE value IS NOT NULL"
    ) == [kept_secret]
    with pytest.raises(ConflictError):
        drop_artifact(acme.connection, organization_id=acme.organization_id, artifact_id=deleted)


def test_that_somebody_deleted_an_artifact_is_announced(acme: Office) -> None:
    artifact_id = acme.bring(CONTENT)
    delete_artifact(
        acme.connection,
        organization_id=acme.organization_id,
        artifact_id=artifact_id,
        actor=ASKER,
    )
    assert acme.connection.execute(
        "SELECT organization_id, subject, data FROM keywright.announcement"
        " WHERE kind = 'artifact.deleted'"
    ).fetchall() == [(acme.organization_id, f"artifact/{artifact_id}", {"requested_by": ASKER})]


def test_an_artifact_of_another_organization_cannot_be_deleted(acme: Office, other: Office) -> None:
    artifact_id = acme.bring(CONTENT)
    with pytest.raises(NotFoundError):
        drop_artifact(
            other.connection, organization_id=other.organization_id, artifact_id=artifact_id
        )
    assert fetch(acme, artifact_id).content == CONTENT


def test_a_fetch_on_record_is_never_changed(acme: Office) -> None:
    fetch(acme, acme.bring(CONTENT))
    for statement in ("UPDATE", "DELETE FROM"):
        changed = " SET actor = 'nobody'" if statement == "UPDATE" else ""
        with pytest.raises(psycopg.errors.CheckViolation):
            acme.connection.execute(f"{statement} keywright.artifact_fetch{changed}")


@pytest.mark.parametrize(
    ("file_name", "size", "stay"),
    [
        ("../escape", 1, HOUR),
        ("", 1, HOUR),
        (".hidden", 1, HOUR),
        ("a.p12", MOST_BYTES + 1, HOUR),
        ("a.p12", 1, timedelta(days=31)),
        ("a.p12", 1, -HOUR),
    ],
)
def test_what_cannot_be_kept_is_refused(
    acme: Office, file_name: str, size: int, stay: timedelta
) -> None:
    with pytest.raises(InvalidRequestError):
        keep_artifact(
            acme.connection,
            acme.tools.cipher,
            organization_id=acme.organization_id,
            purpose="keystore_export",
            file_name=file_name,
            media_type="application/x-pkcs12",
            content=bytes(size),
            requested_by=ASKER,
            expires_at=acme.now + stay,
        )
    assert acme.one("SELECT count(*) FROM keywright.artifact") == 0
