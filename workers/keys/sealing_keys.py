"""The key pairs that secrets are sealed to: made, rotated with an overlap, and removed."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from workers.database.pool import Connection
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.root_keys import (
    RootKey,
    RootKeys,
    RootKeyUnavailableError,
    UnknownRootKeyError,
    WrappedKeyError,
)
from workers.keys.sealing import PublishedKey

OVERLAP = timedelta(days=30)
"""So long what was sealed to the former key is still opened."""

_ROTATION_LOCK = 0x7365616C  # any number that nothing else locks: "seal"


@dataclass(frozen=True, kw_only=True)
class SealingKey:
    """A sealing key as people see it; ``opens_until`` None: it is the one to seal to.

    ``root_keys`` are what wraps its private key, which from ``gone_at`` on is nowhere any more.
    """

    sealing_key_id: str
    created_at: datetime
    opens_until: datetime | None
    gone_at: datetime | None
    root_keys: list[str]


def list_sealing_keys(connection: Connection) -> list[SealingKey]:
    """Return all sealing keys there ever were, the newest first."""
    rows = connection.execute(
        """
        SELECT sealing_key_id, created_at, opens_until, gone_at,
               array(SELECT root_key FROM keywright.sealing_key_wrap AS wrap
                      WHERE wrap.sealing_key_id = key.sealing_key_id ORDER BY root_key)
          FROM keywright.sealing_key AS key
         ORDER BY opens_until DESC NULLS FIRST, created_at DESC
        """
    ).fetchall()
    return [
        SealingKey(
            sealing_key_id=row[0],
            created_at=row[1],
            opens_until=row[2],
            gone_at=row[3],
            root_keys=row[4],
        )
        for row in rows
    ]


def published_key(connection: Connection) -> PublishedKey | None:
    """Return the key to seal to; None: none was made yet."""
    row = connection.execute(
        "SELECT sealing_key_id, public_key FROM keywright.sealing_key WHERE opens_until IS NULL"
    ).fetchone()
    return row and PublishedKey(sealing_key_id=row[0], public_key=bytes(row[1]))


def rotate_sealing_key(
    connection: Connection,
    root_keys: RootKeys,
    *,
    expected: str | None = None,
    overlap: timedelta = OVERLAP,
) -> PublishedKey:
    """Publish a new key; the one before opens what was sealed to it for ``overlap`` more.

    ``expected`` is the id of the key that is to give way: where it is not published any more,
    somebody else was faster, and the key that is published is returned.

    Raises:
        RootKeyUnavailableError: the root key does not wrap right now.
    """
    private_key = X25519PrivateKey.generate()
    key = PublishedKey(
        sealing_key_id=secrets.token_hex(8),
        public_key=private_key.public_key().public_bytes_raw(),
    )
    wrapped = root_keys.current.wrap(
        private_key.private_bytes_raw(), context=_context(key.sealing_key_id)
    )
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%(lock)s)", {"lock": _ROTATION_LOCK})
        present = published_key(connection)
        if expected is not None and present is not None and present.sealing_key_id != expected:
            return present
        connection.execute(
            """
            UPDATE keywright.sealing_key SET opens_until = now() + %(overlap)s
             WHERE opens_until IS NULL
            """,
            {"overlap": overlap},
        )
        connection.execute(
            "INSERT INTO keywright.sealing_key (sealing_key_id, public_key)"
            " VALUES (%(id)s, %(public_key)s)",
            {"id": key.sealing_key_id, "public_key": key.public_key},
        )
        _keep_wrap(connection, key.sealing_key_id, root_keys.current.identifier, wrapped)
    return key


def ensure_sealing_key(connection: Connection, root_keys: RootKeys) -> PublishedKey:
    """Return the key to seal to, a new one if there was none.

    Raises:
        RootKeyUnavailableError: the root key does not wrap right now.
    """
    return published_key(connection) or rotate_sealing_key(connection, root_keys, expected="")


def load_private_key(
    connection: Connection, root_keys: RootKeys, sealing_key_id: str
) -> CleartextKey | None:
    """Return a private key that still opens; None: there is none, or its time is over.

    Raises:
        UnknownRootKeyError: none of the root keys that wrap it is configured here.
        RootKeyUnavailableError: no wrap opens, and one cannot be tried right now.
        WrappedKeyError: no wrap opens, or what comes out is not the published key's other half.
    """
    rows = connection.execute(
        """
        SELECT root_key, wrapped_key, public_key
          FROM keywright.sealing_key JOIN keywright.sealing_key_wrap USING (sealing_key_id)
         WHERE sealing_key_id = %(id)s AND (opens_until IS NULL OR opens_until > now())
         ORDER BY root_key <> %(current)s
        """,
        {"id": sealing_key_id, "current": root_keys.current.identifier},
    ).fetchall()
    trouble: RootKeyUnavailableError | WrappedKeyError | None = None
    for identifier, wrapped, public_key in rows:
        root_key = root_keys.get(identifier)
        if root_key is None:
            continue
        try:
            return _unwrap(root_key, sealing_key_id, wrapped=wrapped, public_key=public_key)
        except RootKeyUnavailableError as error:
            trouble = error
        except WrappedKeyError as error:
            # Trying again later may help against the other trouble, and not against this.
            trouble = trouble or error
    if trouble is not None:
        raise trouble
    if rows:
        raise UnknownRootKeyError(
            f"Sealing key {sealing_key_id} is wrapped under {', '.join(row[0] for row in rows)},"
            " and no such root key is configured here; name it in KEYWRIGHT_FORMER_ROOT_KEY."
        )
    return None


def remove_expired(connection: Connection) -> int:
    """Remove the private keys whose time to open is over; return how many."""
    with connection.transaction():
        gone = connection.execute(
            """
            UPDATE keywright.sealing_key SET gone_at = now()
             WHERE opens_until <= now() AND gone_at IS NULL
            """
        ).rowcount
        # A statement of its own: it sees a wrap that was added while the first one waited.
        connection.execute(
            """
            DELETE FROM keywright.sealing_key_wrap AS wrap USING keywright.sealing_key AS key
             WHERE wrap.sealing_key_id = key.sealing_key_id AND gone_at IS NOT NULL
            """
        )
    return gone


def due_for_rotation(connection: Connection, *, after: timedelta) -> str | None:
    """Return the id of the published key if it has been that for longer than ``after``."""
    row = connection.execute(
        """
        SELECT sealing_key_id FROM keywright.sealing_key
         WHERE opens_until IS NULL AND created_at < now() - %(after)s
        """,
        {"after": after},
    ).fetchone()
    return row and str(row[0])


def rewrap_sealing_keys(connection: Connection, root_keys: RootKeys) -> int:
    """Wrap each private key under the root key in use, too; return how many were not yet.

    Raises:
        UnknownRootKeyError, RootKeyUnavailableError, WrappedKeyError: one cannot be unwrapped here.
    """
    current = root_keys.current.identifier
    rows = connection.execute(
        """
        SELECT sealing_key_id FROM keywright.sealing_key AS key
         WHERE gone_at IS NULL
           AND (opens_until > now()) IS NOT FALSE
           AND NOT EXISTS (SELECT FROM keywright.sealing_key_wrap AS wrap
                            WHERE wrap.sealing_key_id = key.sealing_key_id
                              AND root_key = %(current)s)
        """,
        {"current": current},
    ).fetchall()
    done = 0
    for (sealing_key_id,) in rows:
        key = load_private_key(connection, root_keys, sealing_key_id)
        if key is None:
            continue  # its time is over meanwhile
        wrapped = root_keys.current.wrap(key.reveal(), context=_context(sealing_key_id))
        if CleartextKey(root_keys.current.unwrap(wrapped, context=_context(sealing_key_id))) != key:
            raise WrappedKeyError(f"What {current} wraps does not open again; nothing was kept.")
        done += _keep_wrap(connection, sealing_key_id, current, wrapped)
    return done


def _keep_wrap(
    connection: Connection, sealing_key_id: str, root_key: str, wrapped_key: bytes
) -> int:
    return connection.execute(
        """
        INSERT INTO keywright.sealing_key_wrap (sealing_key_id, root_key, wrapped_key)
        SELECT sealing_key_id, %(root_key)s, %(wrapped_key)s
          FROM keywright.sealing_key
         WHERE sealing_key_id = %(id)s AND gone_at IS NULL
           FOR SHARE  -- whoever removes it waits, and takes this wrap, too
            ON CONFLICT DO NOTHING
        """,
        {"id": sealing_key_id, "root_key": root_key, "wrapped_key": wrapped_key},
    ).rowcount


def _unwrap(
    root_key: RootKey, sealing_key_id: str, *, wrapped: bytes, public_key: bytes
) -> CleartextKey:
    unwrapped = root_key.unwrap(bytes(wrapped), context=_context(sealing_key_id))
    try:
        private_key = X25519PrivateKey.from_private_bytes(unwrapped)
    except ValueError:
        private_key = None
    if private_key is None or private_key.public_key().public_bytes_raw() != bytes(public_key):
        raise WrappedKeyError(
            f"What is wrapped under {root_key.identifier} for sealing key {sealing_key_id} is not"
            " that key; restore its row from a backup, or `keywright sealing-key rotate`."
        )
    return CleartextKey(unwrapped)


def _context(sealing_key_id: str) -> dict[str, str]:
    """Return what binds a wrapped private key to its place."""
    return {"sealing-key": sealing_key_id}
