"""Adding, steering and testing endpoints: what an operator does with them.

An endpoint is always looked for in its organization; one of another is as good as none.
"""

import re
from collections.abc import Sequence
from uuid import uuid4

from workers.announcements.store import announce
from workers.contract.announcements import BY_KIND, WebhookTested
from workers.database.pool import Connection
from workers.encryption import FieldCipher
from workers.errors import ConflictError, InvalidRequestError
from workers.webhooks import deliveries, store
from workers.webhooks.destination import Destination
from workers.webhooks.signing import new_secret

SECRET_FIELD = "webhook_secret.value"  # noqa: S105  # the name of a field
LONGEST_OVERLAP_HOURS = 720
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


def add_endpoint(
    connection: Connection,
    cipher: FieldCipher,
    *,
    organization_id: int,
    name: str,
    url: str,
    kinds: Sequence[str] = (),
    allow_private: bool = False,
) -> tuple[int, str]:
    """Add an endpoint; return its number and the secret, which nobody can read again.

    ``kinds`` are such as ``certificate.issued`` or ``certificate.*``; none means all.

    Raises:
        InvalidRequestError: name, URL or a kind will not do.
        ConflictError: the organization has one of this name.
        RootKeyUnavailableError: the secret cannot be encrypted right now.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequestError(
            "name: a lower-case letter, then up to 62 letters, digits, hyphens and underscores."
        )
    Destination.from_url(url, allow_private=allow_private)
    _check_kinds(kinds)
    with connection.transaction():
        endpoint_id = store.insert_endpoint(
            connection,
            organization_id=organization_id,
            name=name,
            url=url,
            kinds=list(dict.fromkeys(kinds)),
            allow_private=allow_private,
        )
        secret = _add_secret(connection, cipher, organization_id, endpoint_id)
    return endpoint_id, secret


def rotate_secret(
    connection: Connection,
    cipher: FieldCipher,
    *,
    organization_id: int,
    name: str,
    overlap_hours: int,
) -> str:
    """Give an endpoint another secret and return it; both sign for ``overlap_hours``.

    With 0 the one before signs nothing more: it is in wrong hands.

    Raises:
        NotFoundError: the organization has no endpoint of this name.
        RootKeyUnavailableError: the secret cannot be encrypted right now.
    """
    with connection.transaction():
        endpoint_id = store.lock_endpoint(connection, organization_id=organization_id, name=name)
        store.expire_secrets(connection, endpoint_id, hours=overlap_hours)
        return _add_secret(connection, cipher, organization_id, endpoint_id)


def find_endpoint(connection: Connection, *, organization_id: int, name: str) -> store.Endpoint:
    """Return an endpoint.

    Raises:
        NotFoundError: the organization has none of this name.
    """
    for each in store.list_endpoints(connection, organization_id=organization_id):
        if each.name == name:
            return each
    raise store.no_webhook(name)


def switch(connection: Connection, *, organization_id: int, name: str, enabled: bool) -> None:
    """Let an endpoint be told nothing from now on, or again what happens from now on.

    Raises:
        NotFoundError: the organization has none of this name.
    """
    with connection.transaction():
        endpoint_id = store.lock_endpoint(connection, organization_id=organization_id, name=name)
        if enabled:
            store.enable_endpoint(connection, endpoint_id)
            deliveries.make_due(connection, endpoint_id)
        else:
            store.disable_endpoint(connection, endpoint_id)


def remove(connection: Connection, *, organization_id: int, name: str) -> None:
    """Delete an endpoint with all it was still to be told.

    Raises:
        NotFoundError: the organization has none of this name.
    """
    with connection.transaction():
        endpoint_id = store.lock_endpoint(connection, organization_id=organization_id, name=name)
        store.delete_endpoint(connection, endpoint_id)


def announce_test(connection: Connection, *, organization_id: int, name: str) -> tuple[int, int]:
    """Announce a test that only this endpoint is told; return its number and the test's.

    Raises:
        NotFoundError: the organization has none of this name.
        ConflictError: it is disabled.
    """
    with connection.transaction():
        endpoint_id = _enabled(connection, organization_id, name)
        announce(
            connection,
            WebhookTested(endpoint_id=endpoint_id, name=name),
            organization_id=organization_id,
            subject=f"webhook/{endpoint_id}",
        )
        return endpoint_id, deliveries.latest_test(connection, endpoint_id)


def retry(
    connection: Connection, *, organization_id: int, name: str, sequence: int | None = None
) -> int:
    """Send anew what was given up, or one announcement; try now what waits; return how many anew.

    Raises:
        NotFoundError: the organization has none of this name.
        ConflictError: it is disabled.
        InvalidRequestError: the announcement was never for it.
    """
    with connection.transaction():
        endpoint_id = _enabled(connection, organization_id, name)
        again = deliveries.send_again(connection, endpoint_id, sequence=sequence)
        if sequence is not None and not again:
            raise InvalidRequestError(
                f"announcement: {sequence} was never for this webhook, or is kept no more;"
                f" `keywright webhook deliveries {name}` shows the latest."
            )
        store.forgive_endpoint(connection, endpoint_id)
        deliveries.make_due(connection, endpoint_id)
        return again


def _enabled(connection: Connection, organization_id: int, name: str) -> int:
    endpoint_id = store.lock_endpoint(connection, organization_id=organization_id, name=name)
    found = find_endpoint(connection, organization_id=organization_id, name=name)
    if found.disabled_at is not None:
        raise ConflictError(
            f"The webhook {name} is disabled; run `keywright webhook enable {name}` first."
        )
    return endpoint_id


def _add_secret(
    connection: Connection, cipher: FieldCipher, organization_id: int, endpoint_id: int
) -> str:
    secret, webhook_secret_id = new_secret(), uuid4()
    with cipher.writing(connection, organization_id=organization_id) as writer:
        sealed = writer.encrypt(SECRET_FIELD, row=(webhook_secret_id,), value=secret.encode())
    assert isinstance(sealed, bytes)
    store.insert_secret(
        connection,
        webhook_secret_id=webhook_secret_id,
        organization_id=organization_id,
        endpoint_id=endpoint_id,
        value=sealed,
    )
    return secret


def _check_kinds(kinds: Sequence[str]) -> None:
    known = {*BY_KIND, *(f"{kind.partition('.')[0]}.*" for kind in BY_KIND)}
    for kind in kinds:
        if kind not in known:
            raise InvalidRequestError(
                f"kind: there is no announcement {kind}; docs/reference/announcements.md lists all,"
                " and certificate.* means all of a noun."
            )
