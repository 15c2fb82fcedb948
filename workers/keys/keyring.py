"""The key ring: master keys in the clear, for a minute at most."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.database.pool import Pool
from workers.keys import store
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.root_keys import (
    RootKeys,
    RootKeyUnavailableError,
    UnknownRootKeyError,
    WrappedKeyError,
)
from workers.keys.rotation import rotate
from workers.keys.states import (
    DestroyedKeyError,
    KeyExhaustedError,
    SuspendedKeyError,
    UnknownKeyError,
    check_may_decrypt,
)
from workers.keys.unwrapping import unwrap_key
from workers.keys.usage import UsageMeter

__all__ = [
    "DestroyedKeyError",
    "KeyExhaustedError",
    "KeyRing",
    "MasterKey",
    "RootKeyUnavailableError",
    "SuspendedKeyError",
    "UnknownKeyError",
    "UnknownRootKeyError",
    "WrappedKeyError",
]

_MOST_FIELDS = 4096


class MasterKey:
    """A master key in use. Ask the ring for it each time: what is kept outlives its destruction."""

    __slots__ = ("__cleartext", "__fields", "number", "organization_id")

    def __init__(self, organization_id: int, number: int, cleartext: CleartextKey) -> None:
        self.organization_id = organization_id
        self.number = number
        self.__cleartext = cleartext
        self.__fields: dict[UUID, AESGCM] = {}

    def field_aead(self, field_id: UUID) -> AESGCM:
        """Return what encrypts and decrypts the values of one field."""
        found = self.__fields.get(field_id)
        if found is None:
            found = self.__cleartext.field_key(self.organization_id, field_id)
            if len(self.__fields) >= _MOST_FIELDS:
                self.__fields.clear()
            self.__fields[field_id] = found
        return found

    def __repr__(self) -> str:
        return f"<master key {self.number}>"


class KeyRing:
    """Finds master keys by organization and number, and keeps them for a while; thread-safe.

    ``pool`` holds autocommit connections to keywright's own database. A key whose state changes is
    used as before for at most ``max_age_seconds``, counted from before it was read.
    """

    def __init__(
        self,
        pool: Pool,
        root_keys: RootKeys,
        *,
        max_age_seconds: float = 60,
        capacity: int = 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self.root_keys = root_keys
        self._max_age_seconds = max_age_seconds
        self._capacity = capacity
        self._clock = clock
        self._meter = UsageMeter(pool)
        self._lock = threading.Lock()
        # By organization and number: the key, and when it was begun to be read.
        self._kept: OrderedDict[tuple[int, int], tuple[MasterKey, float]] = OrderedDict()
        self._loading: dict[tuple[int, int], threading.Lock] = {}
        self._times_forgotten = 0
        self._ready: set[int] = set()

    def key(self, organization_id: int, number: int) -> MasterKey:
        """Return a key that may decrypt.

        Raises:
            UnknownKeyError: the organization never used a key of this number.
            DestroyedKeyError: it was destroyed.
            SuspendedKeyError: it is suspended.
            UnknownRootKeyError: it is wrapped only under root keys not configured here.
            WrappedKeyError: its wraps are damaged.
            RootKeyUnavailableError: trying again later may help.
        """
        place = (organization_id, number)
        found = self._find(place)
        if found is not None:
            return found
        with self._lock:
            loading = self._loading.setdefault(place, threading.Lock())
        # One thread asks the root key, the others wait for what it gets.
        with loading:
            found = self._find(place)
            if found is None:
                try:
                    found = self._load(place)
                finally:
                    with self._lock:
                        self._loading.pop(place, None)
        return found

    def active_number(self, organization_id: int) -> int | None:
        """Return the number of the active key as of now, never from memory; None: there is none."""
        with self._pool.connection() as connection:
            return store.active_number(connection, organization_id)

    def active_key(self, organization_id: int, *, uses: int = 1) -> MasterKey:
        """Return the key that encrypts as of now, with ``uses`` encryptions on record for it.

        An organization without any gets its first.

        Raises:
            KeyExhaustedError: it may not encrypt that often any more.
            NotFoundError: there is no such organization.
            Others: as ``key``.
        """
        number = self.active_number(organization_id) or self._make_the_first(organization_id)
        while True:
            try:
                key = self.key(organization_id, number)
                self._meter.use(organization_id, number, uses)
            except (KeyExhaustedError, DestroyedKeyError, SuspendedKeyError):
                latest = self.active_number(organization_id)
                if latest is None or latest == number:
                    raise
                number = latest  # it has given way meanwhile
            else:
                return key

    def make_ready(self, organization_id: int) -> None:
        """Let an organization without any key have its first.

        Making it takes a lock of the organization in a transaction of its own; whoever locks the
        organization and then encrypts would wait for himself, and calls this before.

        Raises:
            NotFoundError: there is no such organization.
            RootKeyUnavailableError: the key cannot be wrapped right now.
        """
        # Once there is a key, there always is one.
        if organization_id not in self._ready:
            if self.active_number(organization_id) is None:
                self._make_the_first(organization_id)
            self._ready.add(organization_id)

    def forget(self, organization_id: int, number: int) -> None:
        """Use the key no more before its state was read again."""
        with self._lock:
            self._times_forgotten += 1
            self._kept.pop((organization_id, number), None)

    def __repr__(self) -> str:
        return f"<a key ring of {len(self._kept)} keys>"

    def _find(self, place: tuple[int, int]) -> MasterKey | None:
        with self._lock:
            kept = self._kept.get(place)
            if kept is None:
                return None
            key, since = kept
            if self._clock() - since >= self._max_age_seconds:
                del self._kept[place]
                return None
            self._kept.move_to_end(place)
            return key

    def _load(self, place: tuple[int, int]) -> MasterKey:
        with self._lock:
            times_forgotten, since = self._times_forgotten, self._clock()
        organization_id, number = place
        with self._pool.connection() as connection:
            stored = store.load_key(connection, organization_id, number)
        check_may_decrypt(number, None if stored is None else stored.state)
        assert stored is not None
        key = MasterKey(organization_id, number, unwrap_key(self.root_keys, stored))
        with self._lock:
            # What was read before somebody said "forget" is not kept.
            if self._times_forgotten == times_forgotten:
                self._kept[place] = (key, since)
                self._drop_what_is_old()
        return key

    def _drop_what_is_old(self) -> None:
        now = self._clock()
        for place, (_, since) in list(self._kept.items()):
            if now - since >= self._max_age_seconds:
                del self._kept[place]
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)

    def _make_the_first(self, organization_id: int) -> int:
        with self._pool.connection() as connection:
            return rotate(
                connection,
                self.root_keys,
                organization_id=organization_id,
                expected_number=None,
                actor="keywright",
                reason="the first value to encrypt",
            ).number
