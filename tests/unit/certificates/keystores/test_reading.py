"""The door: a child process reads, within its limits, and nothing of it stays behind."""

import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers.waiting import until
from tests.unit.certificates.certificate_maker import make_der
from tests.unit.certificates.keystores.java_store_maker import (
    JCEKS,
    PASSWORD,
    VECTORS,
    VECTORS_PASSWORD,
    java_key,
    java_store,
    java_trusted,
    jce_protected,
)
from tests.unit.certificates.keystores.material import key_entry, trusted_entry
from workers.certificates.keystores.entries import Format
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.exchange import encode_request
from workers.certificates.keystores.helper import Helper, NoAnswerError, helper_of_this_process
from workers.certificates.keystores.limits import Limits
from workers.certificates.keystores.reading import read_keystore
from workers.certificates.keystores.writing import write_keystore

KEYS = (key_entry("p256"), key_entry("rsa2048"))
MIB = 1024 * 1024
# Of keys that each want five million rounds of MD5, twice.
ENDLESS = java_store(
    *(java_key(b"%d" % n, jce_protected(5_000_000), make_der()) for n in range(40)), magic=JCEKS
)


def helper_process(helper: Helper | None = None) -> int:
    process = (helper or helper_of_this_process())._process
    assert process is not None
    return process.pid


@pytest.mark.parametrize("store_format", ["jks", "pkcs12", "pem"])
def test_what_keywright_writes_is_read(store_format: Format) -> None:
    data = write_keystore(store_format, keys=KEYS, trusted=(trusted_entry(),), password=PASSWORD)
    reading = read_keystore(data, store_password=PASSWORD)
    assert reading.format == store_format
    assert set(reading.keys) == set(KEYS)
    assert reading.faults == ()


def test_a_refusal_comes_back_as_an_error() -> None:
    data = write_keystore("jks", keys=KEYS, password=PASSWORD)
    with pytest.raises(KeystoreError, match="The store password is wrong"):
        read_keystore(data, store_password="another")


def test_the_limits_of_size_are_told_before_a_child_is_asked() -> None:
    with pytest.raises(KeystoreError, match="has 11 bytes; 10 are allowed"):
        read_keystore(bytes(11), store_password="x", limits=Limits(max_bytes=10))
    with pytest.raises(KeystoreError, match="at most 1,000 characters"):
        read_keystore(b"x", store_password="x" * 1001)


@pytest.mark.parametrize(
    "limits", [Limits(cpu_seconds=1), Limits(wall_seconds=1)], ids=["computing", "clock"]
)
def test_a_file_that_takes_too_long_is_given_up(limits: Limits) -> None:
    begun = time.monotonic()
    with pytest.raises(KeystoreError, match="takes more than the"):
        read_keystore(ENDLESS, store_password=PASSWORD, limits=limits)
    assert time.monotonic() - begun < 30


def test_a_file_that_takes_too_much_memory_is_given_up() -> None:
    data = java_store(*(java_trusted(b"%d" % n, bytes(MIB)) for n in range(15)))
    limits = Limits(memory_bytes=64 * MIB)
    with pytest.raises(KeystoreError, match="64 MiB of memory"):
        read_keystore(data, store_password=PASSWORD, limits=limits)
    assert len(read_keystore(data, store_password=PASSWORD).faults) == 15


def test_a_child_has_all_its_limits_before_it_sees_the_file() -> None:
    limits = Limits(memory_bytes=512 * MIB, cpu_seconds=7, wall_seconds=30)
    request = encode_request(b"x", store_password="x", key_password=None, limits=limits)
    helper = Helper()
    line = helper._connect()
    assert line is not None
    with line:
        line.sendall(request[:-1])  # all but the file, for which the child waits
        parent = helper_process(helper)
        children = Path(f"/proc/{parent}/task/{parent}/children")
        until(children.read_text, "the child")
        child = int(children.read_text())

        def of(kind: int) -> tuple[int, int]:
            return resource.prlimit(child, kind)

        # It would hold passwords and keys, and is the last limit that a child takes on.
        until(lambda: of(resource.RLIMIT_CORE) == (0, 0), "the child's limits")
        assert of(resource.RLIMIT_FSIZE) == (0, 0)
        assert of(resource.RLIMIT_CPU) == (7, 7)
        assert of(resource.RLIMIT_AS) == (512 * MIB, 512 * MIB)
    helper.close()


def test_a_child_ends_by_its_own_clock_whoever_waits_for_it() -> None:
    request = encode_request(
        b"x", store_password="x", key_password=None, limits=Limits(wall_seconds=1)
    )
    helper = Helper()
    line = helper._connect()
    assert line is not None
    with line:
        line.sendall(request[:-1])  # all but the file, for which the child waits
        line.settimeout(30)
        assert line.recv(1) == b""
    helper.close()


def test_a_killed_helper_is_started_again() -> None:
    data = (VECTORS / "jdk25-ec.jks").read_bytes()
    read_keystore(data, store_password=VECTORS_PASSWORD)
    before = helper_process()
    os.kill(before, signal.SIGKILL)
    assert len(read_keystore(data, store_password=VECTORS_PASSWORD).keys) == 3
    assert helper_process() != before


def test_threads_read_at_the_same_time() -> None:
    data = (VECTORS / "jdk25-ec.jks").read_bytes()
    with ThreadPoolExecutor(8) as threads:
        readings = list(
            threads.map(lambda _: read_keystore(data, store_password=VECTORS_PASSWORD), range(24))
        )
    assert len(set(readings)) == 1


def test_the_helper_has_no_descriptors_settings_or_secrets_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    helper = Helper()
    with (tmp_path / "file").open() as file:
        os.set_inheritable(file.fileno(), True)
        request = b"\0\0\0\0"  # a child waits for the rest of it
        with pytest.raises(NoAnswerError):
            helper.ask(request, seconds=-4.9, most_answer_bytes=1)
        process = Path(f"/proc/{helper_process(helper)}")
        opened = [str(each.readlink()) for each in (process / "fd").iterdir()]
    assert sorted(each.partition(":")[0] for each in opened) == ["/dev/null"] * 3 + ["socket"]
    assert (process / "environ").read_bytes() == b""
    arguments = (process / "cmdline").read_bytes().split(b"\0")
    assert len(arguments) == 7
    assert arguments[3].startswith(b"import sys;")
    helper.close()
    assert not process.exists()


READ_AND_DIE = """
import os, signal, sys
from pathlib import Path
from workers.certificates.keystores.helper import helper_of_this_process
from workers.certificates.keystores.reading import read_keystore
read_keystore(Path(sys.argv[1]).read_bytes(), store_password=sys.argv[2])
print(helper_of_this_process()._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_is_killed_takes_its_helper_along() -> None:
    done = subprocess.run(
        [sys.executable, "-c", READ_AND_DIE, VECTORS / "jdk25-ec.jks", VECTORS_PASSWORD],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    process = Path("/proc", done.stdout.decode().strip())
    until(lambda: not process.exists(), "the helper to end")


def test_a_password_may_be_typed_composed_or_decomposed() -> None:
    composed, decomposed = "Schl\u00fcssel-7", "Schlu\u0308ssel-7"
    for writing, reading in ((composed, decomposed), (decomposed, composed)):
        data = write_keystore(
            "jks", keys=[replace(key_entry("P-256"), alias="a")], password=writing
        )
        assert len(read_keystore(data, store_password=reading).keys) == 1
