"""Secrets handed over for jobs: by reference, once, for a while."""

from datetime import timedelta
from uuid import uuid4

import pytest

from tests.integration.certificates.keystore_jobs.office import HOUR, PASSWORD, Office
from workers.certificates.handover import mark_used, take_secret
from workers.errors import ConflictError, InvalidRequestError, NotFoundError


def take(acme: Office, secret_id: object) -> str:
    return take_secret(
        acme.connection,
        acme.tools.cipher,
        organization_id=acme.organization_id,
        secret_id=secret_id,  # type: ignore[arg-type]
    )


def test_a_secret_is_taken_by_its_id_and_lies_encrypted(acme: Office) -> None:
    secret_id = acme.hand("pässword of mine")
    assert take(acme, secret_id) == take(acme, secret_id) == "pässword of mine"
    stored = acme.one("SELECT value FROM keywright.handed_secret")
    assert "pässword".encode() not in stored
    assert stored[:4] != "päss".encode()[:4]


def test_a_secret_is_used_up_with_what_it_was_used_for_or_not_at_all(acme: Office) -> None:
    secret_id = acme.hand()
    with acme.connection.transaction(force_rollback=True):
        mark_used(
            acme.connection, organization_id=acme.organization_id, secret_ids=[secret_id, secret_id]
        )
    assert take(acme, secret_id) == PASSWORD
    mark_used(acme.connection, organization_id=acme.organization_id, secret_ids=[secret_id])
    assert acme.one("SELECT value IS NULL AND used_at IS NOT NULL FROM keywright.handed_secret")
    with pytest.raises(ConflictError, match="was used already"):
        take(acme, secret_id)
    with pytest.raises(ConflictError, match="was used already"):
        mark_used(acme.connection, organization_id=acme.organization_id, secret_ids=[secret_id])


def test_a_secret_of_another_organization_is_not_there(acme: Office, other: Office) -> None:
    secret_id = other.hand()
    unknown = uuid4()
    messages = set()
    for each in (secret_id, unknown):
        with pytest.raises(NotFoundError) as refused:
            take(acme, each)
        messages.add(str(refused.value).replace(str(each), "…"))
    assert len(messages) == 1
    with pytest.raises(ConflictError):
        mark_used(acme.connection, organization_id=acme.organization_id, secret_ids=[secret_id])
    assert take(other, secret_id) == PASSWORD


def test_a_secret_expires(acme: Office) -> None:
    secret_id = acme.hand()
    acme.connection.execute(
        "UPDATE keywright.handed_secret SET handed_at = now() - interval '2 hours',"
        " expires_at = now() - interval '1 second'"
    )
    with pytest.raises(ConflictError, match="has expired"):
        take(acme, secret_id)


@pytest.mark.parametrize(
    ("value", "stay"),
    [
        ("", HOUR),
        ("x" * 1025, HOUR),
        ("a\0b", HOUR),
        ("a\ud800b", HOUR),
        (PASSWORD, -HOUR),
        (PASSWORD, timedelta(days=31)),
    ],
)
def test_what_is_no_secret_or_would_stay_too_long_is_refused(
    acme: Office, value: str, stay: timedelta
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        acme.hand(value, stay=stay)
    assert value not in str(refused.value) or not value
    assert acme.one("SELECT count(*) FROM keywright.handed_secret") == 0
