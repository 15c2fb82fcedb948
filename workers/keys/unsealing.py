"""Opening what was sealed for a job: in the worker that does it, and nowhere else."""

import threading
import time
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from workers.audit.recording import record
from workers.contract.secrets import SEALED, purpose_of
from workers.database.pool import Connection, Pool
from workers.errors import PermanentError
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.root_keys import RootKeys
from workers.keys.sealing import MOST_CHARACTERS, SUITE, decode
from workers.keys.sealing_keys import load_private_key, published_key

_KEPT_SECONDS = 60.0


class SealedSecretError(PermanentError):
    """A sealed secret does not open here; the text says what to do, and nothing of it."""

    code = "sealed-secret"
    title = "A sealed secret cannot be opened"


class Unsealer:
    """Opens sealed secrets; private keys are kept in memory for a minute.

    Whether a key still opens is asked of the database each time all the same.
    """

    def __init__(
        self, ledger: Pool, root_keys: RootKeys, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._ledger = ledger
        self.root_keys = root_keys
        self._kept: dict[str, tuple[float, CleartextKey]] = {}
        self._lock = threading.Lock()

    def open(
        self,
        connection: Connection,
        sealed: str,
        *,
        organization_id: int,
        kind: str,
        argument: str,
    ) -> str:
        """Return a secret that was sealed for this argument of this kind of job; it is recorded.

        Raises:
            SealedSecretError: it was sealed for something else or to another key, or was altered.
            RootKeyUnavailableError, UnknownRootKeyError: its key cannot be unwrapped here.
        """
        sealing_key_id, _, text = sealed.removeprefix(SEALED).partition(":")
        row = connection.execute(
            """
            SELECT name, EXISTS (SELECT FROM keywright.sealing_key
                                  WHERE sealing_key_id = %(sealing_key_id)s
                                    AND (opens_until > now()) IS NOT FALSE)
              FROM keywright.organization
             WHERE organization_id = %(organization_id)s
            """,
            {"sealing_key_id": sealing_key_id, "organization_id": organization_id},
        ).fetchone()
        assert row is not None  # jobs are for organizations that exist
        organization, opens = row
        key = self._private_key(sealing_key_id) if opens else None
        if key is None:
            raise SealedSecretError(
                f"{argument}: there is no sealing key {sealing_key_id} that still opens; seal it"
                f" again, to {_key_to_use(connection)}."
            )
        try:
            opened = SUITE.decrypt(
                decode(text),
                X25519PrivateKey.from_private_bytes(key.reveal()),
                purpose_of(organization, kind, argument),
            )
            secret = opened.decode("utf-8")
        except (InvalidTag, ValueError):
            secret = None  # and no error that holds what was opened
        if secret is None:
            raise SealedSecretError(
                f"{argument}: it was sealed for another organization, kind of job or argument, or"
                f" was altered; seal it again, for {kind} {argument} of this organization and to"
                f" {_key_to_use(connection)}."
            )
        if not 1 <= len(secret) <= MOST_CHARACTERS or "\0" in secret:
            raise SealedSecretError(
                f"{argument}: what is sealed is no secret; one has 1 to {MOST_CHARACTERS}"
                " characters."
            )
        record(
            connection,
            action="sealed_secret.open",
            object_name=f"sealing-key/{sealing_key_id}",
            organization_id=organization_id,
            after={"kind": kind, "argument": argument},
        )
        return secret

    def _private_key(self, sealing_key_id: str) -> CleartextKey | None:
        now = self._clock()
        with self._lock:
            self._kept = {key_id: kept for key_id, kept in self._kept.items() if kept[0] > now}
            kept = self._kept.get(sealing_key_id)
        if kept is not None:
            return kept[1]
        with self._ledger.connection() as connection:
            key = load_private_key(connection, self.root_keys, sealing_key_id)
        if key is not None:
            with self._lock:
                self._kept[sealing_key_id] = (now + _KEPT_SECONDS, key)
        return key


def _key_to_use(connection: Connection) -> str:
    key = published_key(connection)
    if key is None:
        return "a key that `keywright sealing-key rotate` makes first"
    return f"sealing key {key.sealing_key_id}, which `keywright sealing-key show` prints"
