"""Root keys in a PKCS #11 token: SoftHSM is one, with everything but the hardware."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import PKCS11Error
from pkcs11.mechanisms import Mechanism

from tests.servers.softhsm import MODULE, SoftHsm, softhsm
from workers.errors import InvalidRequestError, KeywrightError
from workers.keys.root_keys import (
    RootKey,
    RootKeyUnavailableError,
    WrappedKeyError,
    open_root_keys,
)
from workers.keys.root_keys.pkcs11_module import load_module, module_lock, restart

KEY = bytes(range(32))
CONTEXT = {"organization": "7", "key-number": "1"}


@pytest.fixture
def token() -> Iterator[SoftHsm]:
    """A token with a root key in it."""
    with softhsm() as token:
        token.create_key()
        yield token


def open_one(token: SoftHsm, key: str = "root") -> RootKey:
    """Open the root key with this label."""
    return open_root_keys(token.setting(key)).current


def refusal(key: RootKey) -> KeywrightError:
    """Return how a root key refuses to wrap."""
    with pytest.raises(KeywrightError) as refused:
        key.wrap(KEY, context=CONTEXT)
    return refused.value


def test_what_is_wrapped_is_unwrapped_and_never_looks_alike_twice(token: SoftHsm) -> None:
    key = open_one(token)
    wraps = {key.wrap(KEY, context=CONTEXT) for _ in range(20)}
    assert len(wraps) == 20
    assert {key.unwrap(wrap, context=CONTEXT) for wrap in wraps} == {KEY}
    assert not any(KEY in wrap for wrap in wraps)


def test_it_goes_by_the_names_of_token_and_key(token: SoftHsm) -> None:
    expected = f"pkcs11:token={token.label.replace(' ', '%20')};object=root"
    assert open_one(token).identifier == expected


@pytest.mark.parametrize(
    "context",
    [{"organization": "8", "key-number": "1"}, {"organization": "7", "key-number": "2"}, {}],
)
def test_another_context_does_not_open_it(token: SoftHsm, context: dict[str, str]) -> None:
    key = open_one(token)
    wrapped = key.wrap(KEY, context=CONTEXT)
    with pytest.raises(WrappedKeyError, match="does not open"):
        key.unwrap(wrapped, context=context)
    assert key.unwrap(wrapped, context=CONTEXT) == KEY


def test_no_byte_may_be_changed(token: SoftHsm) -> None:
    key = open_one(token)
    wrapped = key.wrap(KEY, context=CONTEXT)
    for position in range(len(wrapped)):
        altered = bytearray(wrapped)
        altered[position] ^= 0x80
        with pytest.raises(WrappedKeyError):
            key.unwrap(bytes(altered), context=CONTEXT)
    for other in (b"", wrapped[:-1], wrapped + b"\0"):
        with pytest.raises(WrappedKeyError):
            key.unwrap(other, context=CONTEXT)


def test_another_key_in_the_same_token_does_not_open_it(token: SoftHsm) -> None:
    token.create_key("other")
    first, other = open_one(token), open_one(token, "other")
    wrapped = first.wrap(KEY, context=CONTEXT)
    with pytest.raises(WrappedKeyError):
        other.unwrap(wrapped, context=CONTEXT)
    assert first.unwrap(wrapped, context=CONTEXT) == KEY


def test_a_wrong_pin_is_asked_once_until_its_file_is_corrected(token: SoftHsm) -> None:
    token.write_pin("not the pin")
    key = open_one(token)
    error = refusal(key)
    assert isinstance(error, RootKeyUnavailableError)
    assert "refuses the PIN (PinIncorrect)" in str(error)
    assert "not the pin" not in str(error)
    for _ in range(20):
        assert "has refused the PIN" in str(refusal(key))
    token.write_pin(token.pin)
    assert key.unwrap(key.wrap(KEY, context=CONTEXT), context=CONTEXT) == KEY


def test_a_pin_that_others_may_read_is_refused(token: SoftHsm) -> None:
    token.pin_file.chmod(0o644)
    error = refusal(open_one(token))
    assert isinstance(error, InvalidRequestError)
    assert str(error).startswith("KEYWRIGHT_ROOT_KEY: others may read")
    token.pin_file.unlink()
    assert "to read the PIN of the token from" in str(refusal(open_one(token)))


def test_a_pin_that_is_no_text_is_refused(token: SoftHsm) -> None:
    token.pin_file.write_bytes(b"\xff")
    assert "holds no PIN in UTF-8" in str(refusal(open_one(token)))


def test_a_key_that_is_not_there_is_refused_by_name(token: SoftHsm) -> None:
    error = refusal(open_one(token, "missing"))
    assert isinstance(error, InvalidRequestError)
    assert "object=missing holds no secret key of that name" in str(error)


def test_two_keys_of_the_same_name_are_refused(token: SoftHsm) -> None:
    token.create_key()
    assert "several secret keys of that name" in str(refusal(open_one(token)))


def test_a_key_that_could_be_carried_away_is_refused(token: SoftHsm) -> None:
    token.create_key("extractable", extractable=True)
    token.create_key("bare", sensitive=False)
    for name in ("extractable", "bare"):
        error = refusal(open_one(token, name))
        assert isinstance(error, InvalidRequestError)
        assert "would hand the key out" in str(error)


def test_a_key_of_another_kind_is_refused(token: SoftHsm) -> None:
    token.create_key("short", bits=128)
    token.create_key("one way", decrypt=False)
    for name in ("short", "one way"):
        assert "another kind of key" in str(refusal(open_one(token, name)))


def test_the_token_hands_the_key_out_to_nobody(token: SoftHsm) -> None:
    token.create_key("wrapping", wrap=True)
    with module_lock(), token.session() as session:
        key = session.get_key(object_class=ObjectClass.SECRET_KEY, label="root")
        with pytest.raises(PKCS11Error):
            _ = key[Attribute.VALUE]
        wrapping = session.get_key(object_class=ObjectClass.SECRET_KEY, label="wrapping")
        with pytest.raises(PKCS11Error):
            wrapping.wrap_key(key, mechanism=Mechanism.AES_KEY_WRAP)


def test_a_module_that_is_none_is_refused(token: SoftHsm) -> None:
    for module in ("/nowhere/module.so", "/etc/hostname"):
        setting = token.setting().replace(str(MODULE), module)
        error = refusal(open_root_keys(setting).current)
        assert isinstance(error, InvalidRequestError)
        assert f"{module} cannot be loaded" in str(error)


def test_a_token_that_is_taken_out_works_again_once_it_is_back(token: SoftHsm) -> None:
    key = open_one(token)
    wrapped = key.wrap(KEY, context=CONTEXT)
    token.take_out()
    for _ in range(2):
        with pytest.raises(RootKeyUnavailableError, match="is not there"):
            key.unwrap(wrapped, context=CONTEXT)
        assert isinstance(refusal(key), RootKeyUnavailableError)
    token.put_back()
    assert key.unwrap(wrapped, context=CONTEXT) == KEY
    assert key.wrap(KEY, context=CONTEXT)


def test_a_root_key_opens_before_its_token_is_there(token: SoftHsm) -> None:
    token.take_out()
    key = open_one(token)
    assert isinstance(refusal(key), RootKeyUnavailableError)
    token.put_back()
    assert key.unwrap(key.wrap(KEY, context=CONTEXT), context=CONTEXT) == KEY


def test_another_token_in_its_place_is_not_taken_for_it(token: SoftHsm) -> None:
    key = open_one(token)
    token.take_out()
    token.initialize("another")
    assert "is not there" in str(refusal(key))


def test_a_session_that_is_gone_is_opened_again(token: SoftHsm) -> None:
    token.create_key("other")
    keys = [open_one(token), open_one(token, "other")]
    wraps = [key.wrap(KEY, context=CONTEXT) for key in keys]
    with module_lock():
        restart(load_module(MODULE, variable="MODULE"))
    for key, wrapped in zip(keys, wraps, strict=True):
        assert key.unwrap(wrapped, context=CONTEXT) == KEY


def test_threads_take_turns(token: SoftHsm) -> None:
    token.create_key("other")
    keys = [open_one(token), open_one(token, "other"), open_one(token)]

    def round_trip(number: int) -> bool:
        key = keys[number % len(keys)]
        context = {"organization": "7", "key-number": str(number)}
        return key.unwrap(key.wrap(KEY, context=context), context=context) == KEY

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(round_trip, range(200)))


def test_a_child_process_logs_in_for_itself_and_its_parent_goes_on(
    token: SoftHsm, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys, threading\n"
        "from workers.keys.root_keys import open_root_keys\n"
        "from workers.keys.root_keys.pkcs11_module import module_lock\n"
        "key, other = open_root_keys(*sys.argv[1:3]).current, open_root_keys(sys.argv[2]).current\n"
        "wrapped = key.wrap(bytes(32), context={})\n"
        "held, forked = threading.Event(), threading.Event()\n"
        "def hold():\n"
        "    with module_lock():\n"
        "        held.set()\n"
        "        forked.wait()\n"
        "thread = threading.Thread(target=hold)\n"
        "thread.start()\n"
        "held.wait()\n"  # the child inherits a lock that nobody will ever release
        "if os.fork() == 0:\n"
        "    fine = key.unwrap(wrapped, context={}) == bytes(32)\n"
        "    fine &= other.unwrap(other.wrap(bytes(32), context={}), context={}) == bytes(32)\n"
        "    os._exit(0 if fine else 1)\n"
        "status = os.waitstatus_to_exitcode(os.wait()[1])\n"
        "forked.set()\n"
        "thread.join()\n"
        "assert status == 0\n"
        "assert key.unwrap(wrapped, context={}) == bytes(32)\n"
    )
    token.create_key("other")
    settings = [token.setting(), token.setting("other")]
    subprocess.run(
        [sys.executable, program, *settings],
        env=os.environ | {"PYTHONPATH": "."},
        timeout=60,
        check=True,
    )
