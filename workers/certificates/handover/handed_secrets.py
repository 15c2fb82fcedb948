"""Secrets handed over for jobs: kept encrypted, taken by reference, used once."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID, uuid4

from workers.certificates.handover import store
from workers.database.pool import Connection
from workers.encryption import FieldCipher
from workers.errors import ConflictError, InvalidRequestError, NotFoundError

FIELD = "handed_secret.value"
MOST_CHARACTERS = 1024
_LONGEST_WORD = 100


def hand_secret(
    connection: Connection,
    cipher: FieldCipher,
    *,
    organization_id: int,
    value: str,
    purpose: str,
    handed_by: str,
    expires_at: datetime,
) -> UUID:
    """Keep a secret for a job and return what to call it; nobody sees it but the job.

    ``purpose`` says for people what it is for, such as "keystore export"; ``handed_by`` who they
    are, such as "member:12".

    Raises:
        InvalidRequestError: the secret is empty or too long, or would not expire in time.
        RootKeyUnavailableError: the master key cannot be unwrapped right now.
    """
    if not 1 <= len(value) <= MOST_CHARACTERS or "\0" in value:
        raise InvalidRequestError(f"value: a secret has 1 to {MOST_CHARACTERS} characters.")
    check_word("purpose", purpose)
    check_word("handed_by", handed_by)
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError(
            "value: it holds half a surrogate pair; leave that out."
        ) from None
    secret_id = uuid4()
    with connection.transaction():
        with cipher.writing(connection, organization_id=organization_id) as writer:
            sealed = writer.encrypt(FIELD, row=(secret_id,), value=encoded)
        assert isinstance(sealed, bytes)
        store.insert_secret(
            connection,
            secret_id=secret_id,
            organization_id=organization_id,
            value=sealed,
            purpose=purpose,
            handed_by=handed_by,
            expires_at=expires_at,
        )
    return secret_id


def take_secret(
    connection: Connection, cipher: FieldCipher, *, organization_id: int, secret_id: UUID
) -> str:
    """Return a secret that was handed over; ``mark_used`` makes that the only time.

    Raises:
        NotFoundError: the organization has none of this id.
        ConflictError: it was used already, or has expired.
        PermanentError: it cannot be opened, for a reason of its key.
        RootKeyUnavailableError: the master key cannot be unwrapped right now.
    """
    row = store.find_secret(connection, organization_id=organization_id, secret_id=secret_id)
    if row is None:
        raise NotFoundError(
            f"There is no handed secret {secret_id} in this organization; hand it over again and"
            " use the id that this returns."
        )
    if row.used_at is not None:
        raise _used(f"The handed secret {secret_id} was")
    if row.is_over or row.value is None:
        raise ConflictError(f"The handed secret {secret_id} has expired; hand it over again.")
    opened = cipher.decrypt(
        FIELD, organization_id=organization_id, row=(secret_id,), value=row.value
    )
    assert isinstance(opened, bytes)
    return opened.decode()


def mark_used(
    connection: Connection, *, organization_id: int, secret_ids: Collection[UUID]
) -> None:
    """Use secrets up, in the transaction of what they were used for: their values are gone.

    Raises:
        ConflictError: another job has used one meanwhile; nothing of this one may stay.
    """
    asked = sorted(set(secret_ids))
    used = store.use_up_secrets(connection, organization_id=organization_id, secret_ids=asked)
    if used != len(asked):
        raise _used("A secret that was handed over for this was")


def check_word(name: str, value: str) -> None:
    """Pass if ``value`` is what people are told: one line, neither empty nor long.

    Raises:
        InvalidRequestError: it is not.
    """
    if not (1 <= len(value) <= _LONGEST_WORD and value.isprintable()):
        raise InvalidRequestError(f"{name}: 1 to {_LONGEST_WORD} printable characters.")


def _used(beginning: str) -> ConflictError:
    return ConflictError(
        f"{beginning} used already, and each serves once; hand it over again, then ask again."
    )
