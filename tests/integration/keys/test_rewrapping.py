"""Re-wrapping only ever adds: wherever it stops, every key stays readable."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.integration.keys.wrapped_keys import Step, Vault, file_root_key, nothing, steps, vault
from tests.servers.kms import CREDENTIALS, REGION, kms_server, refusing_kms
from tests.servers.softhsm import softhsm
from workers.database.pool import Connection
from workers.keys.retiring import retire_root_key
from workers.keys.rewrapping import KeysLeftBehindError, rewrap_all, rewrap_some
from workers.keys.root_keys import RootKey, RootKeys, RootKeyUnavailableError, open_root_keys
from workers.keys.root_keys.file import FileRootKey

KMS_KEY = f"aws-kms:arn:aws:kms:{REGION}:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


class StoppedError(Exception):
    """Somebody stopped the run."""


@pytest.fixture
def old(tmp_path: Path) -> FileRootKey:
    """The root key that everything is wrapped under."""
    return file_root_key(tmp_path, "old")


@pytest.fixture
def new(tmp_path: Path) -> FileRootKey:
    """The root key that takes its place."""
    return file_root_key(tmp_path, "new")


@pytest.fixture
def both(old: FileRootKey, new: FileRootKey) -> RootKeys:
    """What a process knows while one takes the place of the other."""
    return RootKeys(new, [old])


@pytest.fixture
def acme(connection: Connection) -> Vault:
    """An organization without keys."""
    return vault(connection)


@pytest.fixture
def step(conninfo: str) -> Iterator[Step]:
    """Transactions of another connection, as a job's checkpoints are."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield steps(connection)


@contextmanager
def in_a_file(folder: Path) -> Iterator[RootKey]:
    """Yield another root key in a file."""
    yield file_root_key(folder, "another")


@contextmanager
def in_kms(_: Path) -> Iterator[RootKey]:
    """Yield one in the stand-in for AWS KMS."""
    with kms_server() as kms, pytest.MonkeyPatch.context() as environment:
        for name, value in CREDENTIALS.items():
            environment.setenv(name, value)
        kms.create_key("alias/root")
        yield open_root_keys(kms.setting("alias/root")).current


@contextmanager
def in_a_token(_: Path) -> Iterator[RootKey]:
    """Yield one in a token."""
    with softhsm() as token:
        token.create_key()
        yield open_root_keys(token.setting()).current


@pytest.mark.parametrize("place", [in_a_file, in_kms, in_a_token])
def test_all_keys_move_there_and_back_again(
    place: Callable[[Path], AbstractContextManager[RootKey]],
    acme: Vault,
    old: FileRootKey,
    step: Step,
    tmp_path: Path,
) -> None:
    acme.add(old, count=6)
    acme.add(old, state="active")
    acme.add(old, state="destroyed")
    living = list(range(1, 8))
    with place(tmp_path) as other:
        for current, former in ((other, old), (old, other)):
            done = rewrap_all(
                step, RootKeys(current, [former]), report=nothing, stop_if_asked=nothing, batch=3
            )
            done.check_complete()
            assert done.wrapped == 7
            assert acme.readable_with(current) == living
            assert set(living) <= set(acme.readable_with(former))
            retire_root_key(acme.connection, former.identifier, current=current.identifier)
            assert acme.readable_with(current) == living
            assert acme.readable_with(former) == []


def test_every_key_is_readable_at_every_moment_for_whoever_knows_the_old_one(
    acme: Vault, old: FileRootKey, both: RootKeys, step: Step
) -> None:
    acme.add(old, count=7)
    seen = []

    def look(done: int, total: int) -> None:
        assert total == 7
        assert len(acme.readable_with(old)) == 7
        assert len(acme.readable(both)) == 7
        assert len(acme.readable_with(both.current)) == done
        seen.append(done)

    rewrap_all(step, both, report=look, stop_if_asked=nothing, batch=2)
    assert seen == [2, 4, 6, 7]


@pytest.mark.parametrize("keys", range(7))
def test_a_run_that_is_stopped_keeps_its_batches_and_the_next_goes_on(
    acme: Vault, old: FileRootKey, both: RootKeys, step: Step, keys: int
) -> None:
    acme.add(old, count=7)
    asked = iter(range(100))

    def stop() -> None:
        # Asked before each key, and once at the head of each batch.
        if next(asked) == keys + keys // 3 + 1:
            raise StoppedError

    with pytest.raises(StoppedError):
        rewrap_all(step, both, report=nothing, stop_if_asked=stop, batch=3)
    kept = keys // 3 * 3
    assert len(acme.readable_with(both.current)) == kept
    assert len(acme.readable_with(old)) == 7
    done = rewrap_all(step, both, report=nothing, stop_if_asked=nothing)
    assert done.wrapped == 7 - kept
    assert len(acme.readable_with(both.current)) == 7


def test_a_second_run_finds_nothing_to_do(
    acme: Vault, old: FileRootKey, both: RootKeys, step: Step
) -> None:
    acme.add(old, count=3)
    assert rewrap_all(step, both, report=nothing, stop_if_asked=nothing).wrapped == 3
    before = acme.wraps()
    assert rewrap_all(step, both, report=nothing, stop_if_asked=nothing).wrapped == 0
    assert acme.wraps() == before


def test_some_at_a_time_come_to_an_end_too(acme: Vault, old: FileRootKey, both: RootKeys) -> None:
    acme.add(old, count=5)
    counts = [rewrap_some(acme.connection, both, limit=2) for _ in range(4)]
    assert counts == [2, 2, 1, 0]
    assert len(acme.readable_with(both.current)) == 5


def test_a_wrap_under_the_new_root_key_is_never_overwritten(acme: Vault, both: RootKeys) -> None:
    acme.add(both.current, count=2)
    before = acme.wraps()
    assert rewrap_some(acme.connection, both, limit=100) == 0
    assert acme.wraps() == before


def test_keys_that_do_not_open_are_told_by_number_and_do_not_stop_the_rest(
    acme: Vault, old: FileRootKey, both: RootKeys, step: Step, tmp_path: Path
) -> None:
    unknown = file_root_key(tmp_path, "unknown")
    acme.add(old, count=3)
    acme.add(unknown)
    acme.add(old)
    wraps = acme.wraps()
    acme.set_wrap(1, wraps[0][2][:-1] + b"\0")
    acme.set_wrap(2, wraps[2][2])  # that of key 3
    done = rewrap_all(step, both, report=nothing, stop_if_asked=nothing, batch=2)
    assert acme.readable_with(both.current) == [3, 5]
    assert [(each.number, each.root_keys) for each in done.left] == [
        (1, (old.identifier,)),
        (2, (old.identifier,)),
        (4, (unknown.identifier,)),
    ]
    assert "no such root key is configured here" in done.left[2].reason
    with pytest.raises(KeysLeftBehindError) as error:
        done.check_complete()
    assert str(error.value).startswith("3 master keys could not be re-wrapped: key 1 of")
    assert f"key 4 of organization {acme.organization_id} (under {unknown.identifier})" in str(
        error.value
    )
    assert rewrap_some(acme.connection, both, limit=100) == 0


def test_a_wrap_that_holds_another_key_is_not_carried_on(
    acme: Vault, old: FileRootKey, both: RootKeys, step: Step
) -> None:
    acme.add(old)
    context = {"organization": str(acme.organization_id), "key-number": "1"}
    acme.set_wrap(1, old.wrap(bytes(32), context=context))
    done = rewrap_all(step, both, report=nothing, stop_if_asked=nothing)
    assert [each.number for each in done.left] == [1]
    assert len(acme.wraps()) == 1


def test_many_keys_that_do_not_open_are_counted_and_the_first_named(
    acme: Vault, both: RootKeys, step: Step, tmp_path: Path
) -> None:
    acme.add(file_root_key(tmp_path, "unknown"), count=8)
    done = rewrap_all(step, both, report=nothing, stop_if_asked=nothing)
    with pytest.raises(KeysLeftBehindError, match=r"8 master keys .*key 5 of .*; and 3 more; name"):
        done.check_complete()


def test_a_former_root_key_that_is_away_is_asked_once_and_the_rest_is_done(
    acme: Vault,
    old: FileRootKey,
    new: FileRootKey,
    step: Step,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    acme.add(old, count=5)
    with refusing_kms() as kms:
        away = open_root_keys(f"{KMS_KEY}?endpoint={kms.endpoint}").current
        kms.code = "AccessDeniedException"
        acme.connection.execute(
            "UPDATE keywright.master_key_wrap SET root_key = %s FROM keywright.master_key AS key"
            " WHERE key.master_key_id = master_key_wrap.master_key_id AND key_number < 5",
            [away.identifier],
        )
        root_keys = RootKeys(new, [away, old])
        done = rewrap_all(step, root_keys, report=nothing, stop_if_asked=nothing, batch=2)
        assert kms.requests == 1
    assert [each.number for each in done.left] == [1, 2, 3, 4]
    assert acme.readable_with(new) == [5]
    with pytest.raises(RootKeyUnavailableError, match="4 master keys could not be re-wrapped"):
        done.check_complete()


def test_a_new_root_key_that_is_away_ends_it_at_once_and_nothing_has_changed(
    acme: Vault, old: FileRootKey, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    acme.add(old, count=3)
    before = acme.wraps()
    with refusing_kms() as kms:
        kms.code = "AccessDeniedException"
        away = open_root_keys(f"{KMS_KEY}?endpoint={kms.endpoint}").current
        with pytest.raises(RootKeyUnavailableError):
            rewrap_all(step, RootKeys(away, [old]), report=nothing, stop_if_asked=nothing)
        assert kms.requests == 1
    assert acme.wraps() == before
