"""A secret that the organization brings becomes its master key, once, if it is a good one."""

import os
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

from tests.integration.keys.custody import ACTOR, Custody
from workers.database.pool import Connection
from workers.errors import ConflictError, NotFoundError
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.listing import list_keys
from workers.keys.root_keys import RootKeys
from workers.keys.root_keys.file import FileRootKey
from workers.keys.rotation_by_hand import RotatedByHand, rotate_by_hand
from workers.keys.states import Origin, State
from workers.keys.uploading import read_secret, upload_key
from workers.organizations.store import add_organization


@pytest.fixture
def custody(connection: Connection, tmp_path: Path) -> Custody:
    """An organization whose key 1 is archived and whose key 2 is active."""
    return Custody.of(connection, tmp_path)


def upload(
    custody: Custody,
    secret: CleartextKey,
    *,
    connection: Connection | None = None,
    organization_id: int | None = None,
    reencrypt: bool = False,
) -> RotatedByHand:
    return upload_key(
        connection or custody.connection,
        custody.root_keys,
        organization_id=organization_id or custody.organization_id,
        secret=secret,
        actor=ACTOR,
        reason="our own key",
        reencrypt=reencrypt,
    )


def states(custody: Custody) -> list[tuple[int, State, Origin]]:
    return [
        (key.number, key.state, key.origin)
        for key in list_keys(custody.connection, organization_id=custody.organization_id)
    ]


def test_a_secret_becomes_the_active_key(custody: Custody) -> None:
    material = os.urandom(32)
    secret = read_secret(material, announced_hash=b64encode(sha256(material).digest()).decode())
    uploaded = upload(custody, secret)
    assert uploaded == RotatedByHand(number=3, former=2, rotated=True, reencryption_job=None)
    assert states(custody) == [
        (1, State.ARCHIVED, Origin.GENERATED),
        (2, State.ARCHIVED, Origin.GENERATED),
        (3, State.ACTIVE, Origin.UPLOADED),
    ]
    assert custody.cleartext(3).reveal() == material
    assert custody.announcements("master_key.rotated")[-1]["data"]["number"] == 3


def test_a_secret_can_be_the_first_key(connection: Connection, tmp_path: Path) -> None:
    organization_id = add_organization(
        connection, name="Acme", time_zone="UTC", sending_hour=8, is_sandbox=False
    )
    root_keys = RootKeys(FileRootKey(tmp_path / "root.key", create_if_missing=True))
    custody = Custody(connection, root_keys, organization_id, tmp_path)
    assert upload(custody, CleartextKey.generate()).number == 1
    assert states(custody) == [(1, State.ACTIVE, Origin.UPLOADED)]


def test_a_secret_is_accepted_once(custody: Custody) -> None:
    secret = CleartextKey.generate()
    upload(custody, secret)
    with pytest.raises(ConflictError, match="was a master key before"):
        upload(custody, secret)
    custody.rotate()
    custody.move(3, State.DESTROYED)
    with pytest.raises(ConflictError, match="was a master key before"):
        upload(custody, secret)


def test_the_secret_of_another_organization_is_not_accepted(custody: Custody) -> None:
    other = Custody.of(custody.connection, custody.folder, "Globex")
    with pytest.raises(ConflictError, match="was a master key before"):
        upload(other, custody.cleartext(2))


def test_an_organization_that_is_not_there_has_no_keys(custody: Custody) -> None:
    with pytest.raises(NotFoundError):
        upload(custody, CleartextKey.generate(), organization_id=4711)


def test_the_fields_follow_if_that_is_asked_for(custody: Custody) -> None:
    uploaded = upload(custody, CleartextKey.generate(), reencrypt=True)
    rotated = rotate_by_hand(
        custody.connection,
        custody.root_keys,
        organization_id=custody.organization_id,
        actor=ACTOR,
        reason="a test",
        reencrypt=True,
    )
    rows = custody.connection.execute(
        "SELECT job_id, kind, unique_key FROM keywright.job ORDER BY job_id"
    ).fetchall()
    assert rows == [
        (uploaded.reencryption_job, "reencryption.start", "to-3"),
        (rotated.reencryption_job, "reencryption.start", "to-4"),
    ]


def test_secrets_that_arrive_at_once_are_all_accepted(custody: Custody, conninfo: str) -> None:
    """A secret that gave way would be lost: it is accepted once."""

    def bring(_: int) -> int:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            while True:
                try:
                    return upload(custody, CleartextKey.generate(), connection=connection).number
                except ConflictError:
                    continue  # given up because of another, and said so: bring a new one

    with ThreadPoolExecutor(4) as threads:
        numbers = list(threads.map(bring, range(4)))
    assert len(set(numbers)) == 4
    [active] = [number for number, state, _ in states(custody) if state is State.ACTIVE]
    assert active in numbers
