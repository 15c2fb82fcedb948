"""Child processes: restarted when they die, ended together, and never left behind.

The children here are stand-ins for the command line, found before it because the working directory
comes first; each writes its process number into a file and then does as its argument says.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.ending import ended
from tests.servers.waiting import until
from workers.processes import Processes, stop_on_signals

ROOT = Path(__file__).parents[2]

STAND_IN = """
import os, signal, sys, time
from pathlib import Path

def note(what):
    with Path(sys.argv[1]).open("a") as notes:
        notes.write(what + "\\n")

def leave(*_):
    note("asked to stop")
    sys.exit(0)

if sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, leave)
note(f"{os.getpid()} {os.environ.get('TEST_NOTE', '')}".strip())
if sys.argv[2] == "frail":
    sys.exit(3)
while True:
    time.sleep(60)
"""

PARENT = """
import sys, threading
sys.path.insert(0, sys.argv[1])
import workers.processes
sys.path.remove(sys.argv[1])
workers.processes.Processes([sys.argv[2:]]).run_until(threading.Event(), patience_seconds=5)
"""


class Notes:
    """What a child has noted."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def lines(self) -> list[str]:
        """Everything, line by line."""
        return self.path.read_text().splitlines() if self.path.exists() else []

    @property
    def children(self) -> list[int]:
        """The process numbers of those that began, the first one first."""
        return [int(line.split()[0]) for line in self.lines if line[0].isdigit()]


def is_alive(process: int) -> bool:
    """Say whether a process runs; one that is dead and not buried does not."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture(autouse=True)
def _stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "workers"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "cli.py").write_text(STAND_IN)
    monkeypatch.setattr("workers.processes._LONGEST_PAUSE", 0.4)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[Notes]:
    """What the child has noted; whatever happens, no child outlives the test."""
    notes = Notes(tmp_path / "notes")
    yield notes
    for child in notes.children:
        if is_alive(child):
            os.kill(child, signal.SIGKILL)


@pytest.fixture
def start(notes: Notes) -> Iterator[Callable[..., Processes]]:
    """Start one child of a kind."""
    started: list[Processes] = []

    def start(kind: str, **environment: str) -> Processes:
        processes = Processes([(str(notes.path), kind)], environment=environment)
        started.append(processes)
        processes.keep_alive()
        until(lambda: notes.lines, "the child to begin")
        return processes

    yield start
    for processes in started:
        processes.end(0)


def test_a_child_is_started_once_and_kept(start: Callable[..., Processes], notes: Notes) -> None:
    processes = start("steady")
    for _ in range(5):
        processes.keep_alive()
    assert len(notes.children) == 1
    assert is_alive(notes.children[0])


def test_a_child_that_is_killed_is_replaced(start: Callable[..., Processes], notes: Notes) -> None:
    processes = start("steady")
    os.kill(notes.children[0], signal.SIGKILL)

    def replaced() -> bool:
        processes.keep_alive()
        return len(notes.children) == 2

    until(replaced, "another child")
    assert is_alive(notes.children[1])


def test_a_child_that_dies_young_is_replaced_only_after_a_pause(
    start: Callable[..., Processes], notes: Notes
) -> None:
    began = time.monotonic()
    processes = start("frail")

    def replaced() -> bool:
        processes.keep_alive()
        return len(notes.children) == 2

    until(replaced, "another child")
    assert time.monotonic() - began >= 0.4


def test_a_child_is_asked_to_stop_and_waited_for(
    start: Callable[..., Processes], notes: Notes
) -> None:
    processes = start("steady")
    processes.end(30)
    assert notes.lines[1:] == ["asked to stop"]
    assert not is_alive(notes.children[0])


def test_a_child_that_will_not_stop_is_killed_when_patience_is_over(
    start: Callable[..., Processes], notes: Notes
) -> None:
    processes = start("stubborn")
    began = time.monotonic()
    processes.end(0.5)
    assert 0.5 <= time.monotonic() - began < 10
    assert not is_alive(notes.children[0])


def test_several_children_end_together(notes: Notes) -> None:
    processes = Processes([(str(notes.path), kind) for kind in ("steady", "stubborn", "stubborn")])
    processes.keep_alive()
    until(lambda: len(notes.children) == 3, "three children")
    began = time.monotonic()
    processes.end(0.5)
    assert time.monotonic() - began < 10
    assert not any(is_alive(child) for child in notes.children)
    assert notes.lines.count("asked to stop") == 1


def test_ending_what_has_ended_does_nothing(start: Callable[..., Processes], notes: Notes) -> None:
    processes = start("frail")
    until(lambda: not is_alive(notes.children[0]), "the child to die")
    processes.end(30)
    processes.end(30)
    assert len(notes.children) == 1


def test_a_child_has_the_environment_of_its_parent_and_more(
    start: Callable[..., Processes], notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_NOTE", "of the parent")
    start("steady", TEST_NOTE="its own")
    assert notes.lines[0].endswith(" its own")


def test_a_child_is_out_of_reach_of_the_terminals_interrupt(
    start: Callable[..., Processes], notes: Notes
) -> None:
    start("steady")
    assert os.getpgid(notes.children[0]) != os.getpgid(0)


def test_children_run_until_the_event_and_not_longer(notes: Notes) -> None:
    stop = threading.Event()

    def stop_once_it_runs() -> None:
        until(lambda: notes.lines, "the child to begin")
        stop.set()

    stopper = threading.Thread(target=stop_once_it_runs, daemon=True)
    stopper.start()
    Processes([(str(notes.path), "steady")]).run_until(stop, patience_seconds=30)
    stopper.join()
    assert notes.lines[1:] == ["asked to stop"]
    assert not is_alive(notes.children[0])


def test_the_children_of_a_killed_parent_are_asked_to_stop(notes: Notes) -> None:
    command = [sys.executable, "-c", PARENT, str(ROOT), str(notes.path), "steady"]
    with ended(subprocess.Popen(command)) as parent:
        until(lambda: notes.lines, "the child to begin")
        parent.kill()
        parent.wait(timeout=30)
    until(lambda: not is_alive(notes.children[0]), "the child to end")
    assert notes.lines[1:] == ["asked to stop"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_the_event(number: signal.Signals) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        stop = stop_on_signals()
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
