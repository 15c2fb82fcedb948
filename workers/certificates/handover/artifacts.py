"""Artifacts: files kept encrypted for a while, given to those allowed; fetches are recorded."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from uuid import UUID, uuid4

from psycopg.pq import TransactionStatus

from workers.announcements.store import announce
from workers.certificates.handover import store
from workers.certificates.handover.handed_secrets import check_word
from workers.certificates.handover.store import ArtifactRow, Purpose, Refusal
from workers.contract.announcements import ArtifactDeleted
from workers.database.pool import Connection
from workers.encryption import FieldCipher
from workers.errors import ConflictError, InvalidRequestError, NotFoundError

FIELD = "artifact.content"
MOST_BYTES = 64 * 2**20
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_MEMBER = re.compile(r"member:([1-9][0-9]{0,17})", re.ASCII)


def file_name_from(name: str) -> str:
    """Return what to call a file here that is called ``name`` elsewhere."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name, flags=re.ASCII)[:90]
    return plain if _FILE_NAME.fullmatch(plain) else f"file{plain}"


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file as it is given."""

    artifact_id: UUID
    purpose: str
    file_name: str
    media_type: str
    expires_at: datetime
    content: bytes = field(repr=False)


def keep_artifact(
    connection: Connection,
    cipher: FieldCipher,
    *,
    organization_id: int,
    purpose: Purpose,
    file_name: str,
    media_type: str,
    content: bytes,
    requested_by: str,
    expires_at: datetime,
    job_id: int | None = None,
) -> UUID:
    """Keep a file for a while, encrypted, and return what to call it.

    ``requested_by`` may fetch it, as members who manage certificates may. ``job_id`` is the job
    that makes it; it makes one only.

    Raises:
        InvalidRequestError: the file is too large, its name is none, or it would not expire.
        RootKeyUnavailableError: the master key cannot be unwrapped right now.
    """
    if len(content) > MOST_BYTES:
        raise InvalidRequestError(
            f"content: an artifact has at most {MOST_BYTES} bytes, this has {len(content)}; ask for"
            " fewer certificates at a time."
        )
    if not _FILE_NAME.fullmatch(file_name):
        raise InvalidRequestError(
            "file_name: 1 to 100 letters, digits, dots, hyphens and underscores; it begins with a"
            " letter or a digit."
        )
    check_word("requested_by", requested_by)
    artifact_id = uuid4()
    with connection.transaction():
        with cipher.writing(connection, organization_id=organization_id) as writer:
            sealed = writer.encrypt(FIELD, row=(artifact_id,), value=content)
        assert isinstance(sealed, bytes)
        store.insert_artifact(
            connection,
            organization_id=organization_id,
            content=sealed,
            artifact_id=artifact_id,
            purpose=purpose,
            file_name=file_name,
            media_type=media_type,
            size_bytes=len(content),
            sha256=sha256(content).digest(),
            requested_by=requested_by,
            job_id=job_id,
            expires_at=expires_at,
        )
    return artifact_id


def fetch_artifact(
    connection: Connection,
    cipher: FieldCipher,
    *,
    organization_id: int,
    artifact_id: UUID,
    actor: str,
) -> Artifact:
    """Give a file to who asked for it, or to a member who manages certificates ("member:12").

    A member has to be active and to have the permission now, also for what they asked for
    themselves. Every fetch and every refusal is counted and on record before anything is given, so
    ``connection`` commits by itself and is in no transaction.

    Raises:
        NotFoundError: there is none of this id, it belongs elsewhere, or it is not for this actor:
            the answer does not tell which.
        ConflictError: it has expired, was deleted or was used up.
        RootKeyUnavailableError: the master key cannot be unwrapped right now.
    """
    check_word("actor", actor)
    _check_is_alone(connection)
    with connection.transaction():
        about = find_artifact(connection, organization_id, artifact_id)
        content = store.content_of(
            connection, organization_id=organization_id, artifact_id=artifact_id
        )
        refusal = _why_not(connection, organization_id, about, actor=actor, is_there=bool(content))
        artifact = None
        if about is not None and content is not None and refusal is None:
            artifact = _opened(cipher, organization_id, about, content)
        store.record_fetch(
            connection,
            organization_id=organization_id,
            artifact_id=artifact_id,
            actor=actor,
            refused_because=refusal,
        )
    if artifact is not None:
        return artifact
    raise _gone(artifact_id) if refusal == "gone" else no_such_artifact(artifact_id)


def read_artifact(
    connection: Connection,
    cipher: FieldCipher,
    *,
    organization_id: int,
    artifact_id: UUID,
    purpose: Purpose,
    job_id: int,
) -> Artifact:
    """Return a file to the job that works on it; the fetch is recorded as the job's.

    Raises:
        NotFoundError: the organization has none of this id and purpose.
        ConflictError: it has expired, was deleted or was used up.
        RootKeyUnavailableError: the master key cannot be unwrapped right now.
    """
    with connection.transaction():
        about = find_artifact(connection, organization_id, artifact_id)
        if about is None or about.purpose != purpose:
            raise no_such_artifact(artifact_id)
        content = store.content_of(
            connection, organization_id=organization_id, artifact_id=artifact_id
        )
        if content is None:
            raise _gone(artifact_id)
        artifact = _opened(cipher, organization_id, about, content)
        store.record_fetch(
            connection,
            organization_id=organization_id,
            artifact_id=artifact_id,
            actor=f"job:{job_id}",
            refused_because=None,
        )
    return artifact


def drop_artifact(connection: Connection, *, organization_id: int, artifact_id: UUID) -> None:
    """Remove a file for good before its time; who fetched it stays on record.

    Raises:
        NotFoundError: the organization has none of this id.
        ConflictError: it is gone already.
    """
    with connection.transaction():
        if find_artifact(connection, organization_id, artifact_id) is None:
            raise no_such_artifact(artifact_id)
        if not store.remove_content(
            connection, organization_id=organization_id, artifact_id=artifact_id
        ):
            raise _gone(artifact_id)


def delete_artifact(
    connection: Connection, *, organization_id: int, artifact_id: UUID, actor: str
) -> None:
    """Remove a file before its time because somebody asked for that, and announce it.

    Raises:
        NotFoundError, ConflictError: as ``drop_artifact``.
    """
    with connection.transaction():
        drop_artifact(connection, organization_id=organization_id, artifact_id=artifact_id)
        announce(
            connection,
            ArtifactDeleted(requested_by=actor),
            organization_id=organization_id,
            subject=f"artifact/{artifact_id}",
        )


def find_artifact(
    connection: Connection, organization_id: int, artifact_id: UUID
) -> ArtifactRow | None:
    """Return what is known of one of the organization's artifacts."""
    found = store.list_artifacts(
        connection, organization_id=organization_id, artifact_id=artifact_id
    )
    return found[0] if found else None


def no_such_artifact(artifact_id: UUID) -> NotFoundError:
    """Return the one answer for what is not there, or not there for the one who asks."""
    return NotFoundError(
        f"There is no artifact {artifact_id} for you in this organization; `keywright artifact"
        " list` shows those that there are, and who asked for them."
    )


def _opened(
    cipher: FieldCipher, organization_id: int, about: ArtifactRow, content: bytes
) -> Artifact:
    opened = cipher.decrypt(
        FIELD, organization_id=organization_id, row=(about.artifact_id,), value=content
    )
    assert isinstance(opened, bytes)
    return Artifact(
        artifact_id=about.artifact_id,
        purpose=about.purpose,
        file_name=about.file_name,
        media_type=about.media_type,
        expires_at=about.expires_at,
        content=opened,
    )


def _why_not(
    connection: Connection,
    organization_id: int,
    about: ArtifactRow | None,
    *,
    actor: str,
    is_there: bool,
) -> Refusal | None:
    if about is None:
        return "unknown"
    member = _MEMBER.fullmatch(actor)
    if member is None:
        is_allowed = actor == about.requested_by
    else:
        is_allowed = store.may_manage_certificates(connection, organization_id, int(member[1]))
    if not is_allowed:
        return "not_allowed"
    return None if is_there else "gone"


def _check_is_alone(connection: Connection) -> None:
    is_idle = connection.info.transaction_status == TransactionStatus.IDLE
    if not (connection.autocommit and is_idle):
        raise InvalidRequestError(
            "The connection is in a transaction, and with it a refusal would be rolled back; fetch"
            " artifacts on a connection that commits by itself."
        )


def _gone(artifact_id: UUID) -> ConflictError:
    return ConflictError(
        f"The content of artifact {artifact_id} is gone: it has expired, was deleted or was used"
        " up; ask for it again."
    )
