"""The small process beside a worker from which a child is forked for each keystore.

It has loaded what reading needs and holds nothing else: no thread, no connection, no earlier
password. Each child gets its limits from the kernel before it sees a byte of the file, and ends
with its one answer.
"""

import gc
import os
import resource
import signal
import socket
import sys
import warnings

from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.exchange import (
    SIZES,
    STARTED,
    decode_question,
    encode_reading,
    encode_refusal,
)
from workers.certificates.keystores.limits import Limits
from workers.certificates.keystores.parsing import parse_keystore

IDLE_SECONDS = 300


def main() -> None:
    """Serve until the worker is gone, or has asked nothing for a while."""
    # Loggers and warnings of libraries would repeat what they have found in a file.
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a child ended
    control = socket.socket(fileno=int(sys.argv[1]))
    control.settimeout(IDLE_SECONDS)
    gc.freeze()  # children share the pages
    while True:
        try:
            _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        except TimeoutError:
            return
        if not descriptors:
            return
        if os.fork() == 0:
            control.close()
            try:
                _answer(socket.socket(fileno=descriptors[0]))
            finally:
                os._exit(0)
        os.close(descriptors[0])


def _answer(connection: socket.socket) -> None:
    connection.sendall(STARTED)
    question_size, data_size = SIZES.unpack(_receive(connection, SIZES.size))
    store_password, key_password, limits = decode_question(_receive(connection, question_size))
    _limit_this_process(limits)
    try:
        data = _receive(connection, data_size)
        answer = encode_reading(
            parse_keystore(
                data, store_password=store_password, key_password=key_password, limits=limits
            )
        )
    except KeystoreError as error:
        answer = encode_refusal(str(error))
    except MemoryError:
        return
    except Exception:  # noqa: BLE001  # of what a hostile file makes happen, nothing is foreseeable
        answer = encode_refusal(
            "The keystore is damaged in a way that cannot be told more closely; copy it again."
        )
    connection.sendall(answer)


def _limit_this_process(limits: Limits) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),  # it would hold passwords and keys
    ):
        _, hard = resource.getrlimit(kind)
        wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (wanted, wanted))
    # The kernel's own end of a process, which no code that a file keeps busy can put off.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)


def _receive(connection: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        part = connection.recv(min(size - len(received), 1 << 20))
        if not part:
            os._exit(0)
        received += part
    return bytes(received)
