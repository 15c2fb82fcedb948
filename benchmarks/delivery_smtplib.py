"""The yardstick of deliveries: plain ``smtplib`` in a loop, with nothing recorded."""

import smtplib
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from typing import TypeAlias

Span: TypeAlias = tuple[float, float]

_PATIENCE_SECONDS = 120
_SENDER = "keywright@example.org"
_HEAD = (
    b"From: keywright <keywright@example.org>\r\nSubject: 1 certificate expires in 10 days\r\n\r\n"
)
_LINE = b"The certificate web.example.org expires soon; here is what to do about it.\r\n"


def measure_smtplib(
    *,
    host: str,
    port: int,
    messages: int,
    threads: int,
    processes: int = 1,
    message_bytes: int = 16_384,
) -> float:
    """Send messages of this size, rendered beforehand, and return how many per second.

    Each of ``processes * threads`` loops has one connection, which stays open, and its share of
    the messages. The time runs from when all are connected until the last reply.
    """
    context = get_context("spawn")
    all_connected = context.Barrier(processes * threads, timeout=_PATIENCE_SECONDS)
    spans: SimpleQueue[Span] = context.SimpleQueue()
    shares = _shares(messages, processes * threads)
    started = [
        context.Process(
            target=_run_loops,
            kwargs={
                "address": (host, port),
                "shares": shares[first::processes],
                "message": _HEAD + _LINE * ((message_bytes - len(_HEAD)) // len(_LINE)),
                "all_connected": all_connected,
                "spans": spans,
            },
            daemon=True,
        )
        for first in range(processes)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join()
    if any(process.exitcode for process in started):
        raise RuntimeError("A process of the yardstick failed; its reason stands above.")
    all_spans = [spans.get() for _ in shares]
    return messages / (max(end for _, end in all_spans) - min(begin for begin, _ in all_spans))


def _shares(messages: int, loops: int) -> list[int]:
    return [messages // loops + (number < messages % loops) for number in range(loops)]


def _run_loops(
    *,
    address: tuple[str, int],
    shares: list[int],
    message: bytes,
    all_connected: Barrier,
    spans: SimpleQueue[Span],
) -> None:
    def loop(share: int) -> Span:
        with smtplib.SMTP(*address, local_hostname="benchmark", timeout=60) as client:
            client.ehlo_or_helo_if_needed()
            all_connected.wait()
            begun = time.monotonic()  # one clock for all processes of the machine
            for number in range(share):
                client.sendmail(_SENDER, f"member{number}@example.org", message)
            return begun, time.monotonic()

    with ThreadPoolExecutor(len(shares)) as pool:
        for span in pool.map(loop, shares):
            spans.put(span)
