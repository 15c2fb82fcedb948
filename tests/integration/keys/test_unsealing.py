"""What opens sealed secrets: how long it keeps keys, and that it shows nothing."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from tests.integration.keys.keyholder import Keyholder
from tests.servers.postgres import PostgresServer
from workers.contract.secrets import purpose_of
from workers.database.pool import Connection, Pool, open_pool
from workers.keys.root_keys import RootKeys, WrappedKeyError
from workers.keys.sealing import SUITE, PublishedKey, encode, seal
from workers.keys.sealing_keys import (
    ensure_sealing_key,
    remove_expired,
    rewrap_sealing_keys,
    rotate_sealing_key,
)
from workers.keys.unsealing import SealedSecretError, Unsealer

SECRET = "Marker-55f0 sealed"
PLACE = {"organization": "Acme", "kind": "keystore.export", "argument": "password"}


@dataclass
class Opener:
    """Opens secrets of Acme, at a time that the test sets."""

    acme: Keyholder
    pool: Pool
    seconds: float = 0
    unsealer: Unsealer = field(init=False)

    def __post_init__(self) -> None:
        self.unsealer = Unsealer(self.pool, self.acme.root_keys, clock=lambda: self.seconds)

    @property
    def connection(self) -> Connection:
        """One to the database."""
        return self.acme.connection

    def open(self, text: str, *, connection: Connection | None = None) -> str:
        """Open as a worker does."""
        return self.unsealer.open(
            connection or self.connection,
            text,
            organization_id=self.acme.organization_id,
            kind=PLACE["kind"],
            argument=PLACE["argument"],
        )

    def spoil_wraps(self) -> None:
        """Let nobody unwrap a sealing key any more."""
        self.connection.execute("UPDATE keywright.sealing_key_wrap SET wrapped_key = '\\x00'")


@pytest.fixture
def opener(acme: Keyholder, pool: Pool) -> Opener:
    """One of Acme's."""
    return Opener(acme, pool)


@pytest.fixture
def key(acme: Keyholder, root_keys: RootKeys) -> PublishedKey:
    """The published key."""
    return ensure_sealing_key(acme.connection, root_keys)


def sealed_bytes(key: PublishedKey, data: bytes) -> str:
    """Seal what may be no secret."""
    public_key = X25519PublicKey.from_public_bytes(key.public_key)
    return f"sealed:v1:{key.sealing_key_id}:" + encode(
        SUITE.encrypt(data, public_key, purpose_of(**PLACE))
    )


def test_a_private_key_is_unwrapped_once_a_minute(opener: Opener, key: PublishedKey) -> None:
    assert opener.open(seal(key, SECRET, **PLACE)) == SECRET
    opener.spoil_wraps()
    opener.seconds = 59
    assert opener.open(seal(key, SECRET, **PLACE)) == SECRET
    opener.seconds = 61
    with pytest.raises(WrappedKeyError):
        opener.open(seal(key, SECRET, **PLACE))


def test_a_key_whose_time_is_over_opens_nothing_though_it_is_kept(
    opener: Opener, key: PublishedKey
) -> None:
    text = seal(key, SECRET, **PLACE)
    assert opener.open(text) == SECRET
    rotate_sealing_key(opener.connection, opener.acme.root_keys, overlap=timedelta(0))
    with pytest.raises(SealedSecretError, match="that still opens"):
        opener.open(text)


def test_threads_open_at_once(opener: Opener, key: PublishedKey, pool: Pool) -> None:
    def open_one(number: int) -> bool:
        with pool.connection() as connection:
            text = seal(key, f"{SECRET} {number}", **PLACE)
            return opener.open(text, connection=connection) == f"{SECRET} {number}"

    with ThreadPoolExecutor(3) as threads:
        assert all(threads.map(open_one, range(30)))


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe Marker", b"Marker\0", "ü".encode() * 1025], ids=len
)
def test_what_is_sealed_and_no_secret_is_refused_and_not_repeated(
    opener: Opener, key: PublishedKey, data: bytes
) -> None:
    with pytest.raises(SealedSecretError) as refused:
        opener.open(sealed_bytes(key, data))
    error: BaseException | None = refused.value
    while error is not None:
        assert "Marker" not in f"{error!r} {error.args}"
        error = error.__context__


def test_nothing_that_is_opened_or_opens_shows_itself(opener: Opener, key: PublishedKey) -> None:
    opener.open(seal(key, SECRET, **PLACE))
    shown = f"{opener.unsealer!r} {vars(opener.unsealer)!r}"
    assert "<a cleartext key>" in shown
    assert SECRET not in shown


def test_without_any_key_it_is_said_how_one_is_made(opener: Opener) -> None:
    unknown = PublishedKey(sealing_key_id="0123456789abcdef", public_key=bytes(31) + b"\x09")
    with pytest.raises(SealedSecretError, match="`keywright sealing-key rotate` makes first"):
        opener.open(seal(unknown, SECRET, **PLACE))


def test_what_another_installation_published_does_not_open_here(
    opener: Opener, key: PublishedKey
) -> None:
    theirs = PublishedKey(
        sealing_key_id=key.sealing_key_id, public_key=bytes(31) + b"\x09"
    )  # even if it had the same id
    with pytest.raises(SealedSecretError, match="was altered"):
        opener.open(seal(theirs, SECRET, **PLACE))


def test_a_worker_with_no_more_rights_than_it_needs_does_all_of_it(
    opener: Opener, key: PublishedKey, postgres: PostgresServer, conninfo: str
) -> None:
    text = seal(key, SECRET, **PLACE)
    root_keys = opener.acme.root_keys
    with (
        postgres.login(conninfo, "keywright_worker") as login,
        psycopg.connect(login, autocommit=True) as worker,
        open_pool(login, size=1, name="ledger") as ledger,
    ):
        opener.unsealer = Unsealer(ledger, root_keys)
        assert opener.open(text, connection=worker) == SECRET
        rotate_sealing_key(worker, root_keys, overlap=timedelta(0))
        assert rewrap_sealing_keys(worker, root_keys) == 0
        assert remove_expired(worker) == 1
