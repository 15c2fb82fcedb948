"""The end of master keys and of root keys, with workers that bring it about."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.keywright_command import Keywright, done, refused
from tests.acceptance.terminal import at_a_terminal
from tests.servers.waiting import until

ACME = ("-o", "Acme")


@pytest.fixture
def keywright(tmp_path: Path) -> Iterator[Keywright]:
    """The command beside a running keywright, and Acme, whose key 1 is archived and 2 active."""
    keywright = Keywright(tmp_path / "data")
    running = keywright.start("-m", "workers.cli", "up", "--processes", "1")
    try:
        until(lambda: keywright.run("status").returncode == 0, "the first scan to have ended")
        done(keywright, "organization", "add", "Acme")
        done(keywright, "key", "rotate", *ACME)
        done(keywright, "key", "rotate", *ACME)
        yield keywright
    finally:
        running.terminate()
        running.communicate(timeout=60)


def state(keywright: Keywright, number: int) -> str:
    return str(keywright.json("key", "show", str(number), *ACME)["state"])


def test_a_key_is_destroyed_after_a_confirmation_and_can_be_kept_before(
    keywright: Keywright,
) -> None:
    assert "rotate and re-encrypt first" in refused(keywright, "key", "destroy", "2", *ACME)
    assert "add --yes" in refused(keywright, "key", "destroy", "1", *ACME)
    ask = ("key", "destroy", "1", *ACME, "--after-days", "30")
    code, screen = at_a_terminal(keywright, *ask, typing=[("to destroy it", "acme 1")])
    assert (code, "That was not “Acme 1”" in screen) == (1, True), screen
    assert "nothing to cancel" in refused(keywright, "key", "keep", "1", *ACME)

    code, screen = at_a_terminal(keywright, *ask, typing=[("to destroy it", "Acme 1")])
    assert (code, "will be destroyed after" in screen) == (0, True), screen
    assert keywright.json("key", "show", "1", *ACME)["destroy_at"] is not None
    done(keywright, "key", "keep", "1", *ACME)
    assert keywright.json("key", "show", "1", *ACME)["destroy_at"] is None

    done(keywright, "key", "destroy", "1", *ACME, "--after-days", "0", "--yes")
    until(lambda: state(keywright, 1) == "destroyed", "the key to be destroyed")
    assert "destroyed already" in refused(keywright, "key", "destroy", "1", *ACME)
    assert keywright.json("key", "show", "1", *ACME)["root_keys"] == []


def test_one_root_key_takes_the_place_of_another(tmp_path: Path) -> None:
    former, latter = (f"file:{tmp_path / name}" for name in ("former.key", "latter.key"))
    for name in ("former.key", "latter.key"):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text("A" * 42 + ("A=" if name == "former.key" else "E="))
    before = Keywright(tmp_path / "data", {"KEYWRIGHT_ROOT_KEY": former})
    done(before, "organization", "add", "Acme")
    done(before, "key", "rotate", *ACME)
    [old] = before.json("key", "root-keys")

    settings = {"KEYWRIGHT_ROOT_KEY": latter, "KEYWRIGHT_FORMER_ROOT_KEY": former}
    between = Keywright(tmp_path / "data", settings)
    running = between.start("-m", "workers.cli", "up", "--processes", "1")
    try:
        needed = refused(between, "key", "retire-root-key", old["identifier"])
        assert "`keywright key rewrap` first" in needed
        assert "wrapped 1" in done(between, "key", "rewrap", "--wait")
    finally:
        running.terminate()
        running.communicate(timeout=60)
    uses = {row["identifier"]: row["only_here"] for row in between.json("key", "root-keys")}
    assert (len(uses), set(uses.values())) == (2, {0})
    done(between, "key", "retire-root-key", old["identifier"])

    after = Keywright(tmp_path / "data", {"KEYWRIGHT_ROOT_KEY": latter})
    [row] = after.json("key", "root-keys")
    assert (row["identifier"] != old["identifier"], row["only_here"]) == (True, 1)
    assert "Master key 2 is active" in done(after, "key", "rotate", *ACME)
