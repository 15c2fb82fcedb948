"""Stopping a call from another thread: inside it, or not at all."""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from dramatiq.threading import Interrupt

from tests.servers.waiting import until
from workers.jobs.interruption import (
    ClaimLost,
    Interruptible,
    ShutdownRequested,
    TimeLimitExceeded,
)

ROUNDS = 3000


class Call(threading.Thread):
    """A call in a thread of its own, and how it ended."""

    def __init__(self, interruptible: Interruptible, call: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.interruptible = interruptible
        self.call = call
        self.inside = threading.Event()
        self.returned: object = None
        self.raised: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Run the call."""

        def arrive_and_call() -> object:
            self.inside.set()
            return self.call()

        try:
            self.returned = self.interruptible.run(arrive_and_call)
        except BaseException as error:  # noqa: BLE001  # looked at by the test
            self.raised = error

    def end(self) -> BaseException | None:
        """Wait for the end; return what was raised."""
        self.join(timeout=30)
        assert not self.is_alive()
        return self.raised


def forever() -> None:
    """Go on until something strikes."""
    pause = threading.Event()
    while True:
        pause.wait(0.001)


@pytest.fixture
def _many_switches() -> Iterator[None]:
    """Let threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_a_call_that_nobody_interrupts_returns_what_it_returns() -> None:
    interruptible = Interruptible()
    assert interruptible.run(lambda: 42) == 42
    assert not interruptible.was_interrupted


def test_what_a_call_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        Interruptible().run(lambda: 1 // 0)


@pytest.mark.parametrize("kind", [TimeLimitExceeded, ShutdownRequested, ClaimLost])
def test_a_call_is_ended_by_the_interruption_it_was_sent(kind: type[Interrupt]) -> None:
    call = Call(Interruptible(), forever)
    assert call.inside.wait(30)
    assert call.interruptible.interrupt(kind)
    assert type(call.end()) is kind
    assert call.interruptible.was_interrupted


def test_catching_every_ordinary_error_does_not_keep_a_call_alive() -> None:
    def stubborn() -> None:
        while True:
            try:
                forever()
            except Exception:  # noqa: BLE001  # the bad habit of this test
                continue

    call = Call(Interruptible(), stubborn)
    assert call.inside.wait(30)
    call.interruptible.interrupt(TimeLimitExceeded)
    assert type(call.end()) is TimeLimitExceeded


def test_a_call_that_swallows_the_interruption_has_not_succeeded() -> None:
    def deaf() -> str:
        try:
            forever()
        except BaseException:  # noqa: BLE001  # the worse habit of this test
            return "all went well"
        return "never"

    call = Call(Interruptible(), deaf)
    assert call.inside.wait(30)
    call.interruptible.interrupt(TimeLimitExceeded)
    assert type(call.end()) is TimeLimitExceeded
    assert call.returned is None


def test_nothing_strikes_before_the_call() -> None:
    interruptible = Interruptible()
    assert not interruptible.interrupt(TimeLimitExceeded)
    assert interruptible.run(lambda: "untouched") == "untouched"
    assert not interruptible.was_interrupted


def test_nothing_strikes_after_the_call() -> None:
    interruptible = Interruptible()
    interruptible.run(lambda: None)
    assert not interruptible.interrupt(ClaimLost)
    assert not interruptible.was_interrupted


def test_only_the_first_of_several_interruptions_strikes() -> None:
    call = Call(Interruptible(), forever)
    assert call.inside.wait(30)
    answers: list[bool] = []
    interrupt = call.interruptible.interrupt
    kinds = [TimeLimitExceeded, ShutdownRequested, ClaimLost] * 4
    threads = [
        threading.Thread(target=lambda kind=kind: answers.append(interrupt(kind))) for kind in kinds
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(answers) == {True: 1, False: len(kinds) - 1}
    assert isinstance(call.end(), Interrupt)


def test_each_of_several_calls_is_interrupted_by_itself() -> None:
    calls = [Call(Interruptible(), forever) for _ in range(4)]
    assert all(call.inside.wait(30) for call in calls)
    calls[2].interruptible.interrupt(TimeLimitExceeded)
    assert type(calls[2].end()) is TimeLimitExceeded
    assert [call.is_alive() for call in calls] == [True, True, False, True]
    for call in (calls[0], calls[1], calls[3]):
        call.interruptible.interrupt(ShutdownRequested)
        assert type(call.end()) is ShutdownRequested


class OwnError(Exception):
    """What a call of the races below raises by itself."""


def return_normally() -> str:
    """End one way."""
    return "returned"


def raise_an_error() -> str:
    """End another way."""
    raise OwnError


def stop_by_itself() -> str:
    """End as a handler does that heard of the shutdown before it was struck."""
    raise ShutdownRequested


class Race:
    """Many calls that end at about the moment at which they are interrupted."""

    def __init__(self, ending: Callable[[], str]) -> None:
        self.ending = ending
        self.outcomes: Counter[tuple[bool, str]] = Counter()
        self.strays: list[str] = []
        self._interruptible = Interruptible()
        self._outcome = ""
        # Loops of work in a call. Each strike makes the next call shorter and each miss longer,
        # which keeps both sides where they meet.
        self._work_length = 0
        self._gate = threading.Barrier(2, timeout=60)
        self._caller = threading.Thread(target=self._call_on_and_on, daemon=True)

    def run(self) -> None:
        """Interrupt every call, about half of them too early or too late."""
        self._caller.start()
        with suppress(threading.BrokenBarrierError):  # after a stray
            for _ in range(ROUNDS):
                self._gate.wait()
                struck = self._interruptible.interrupt(TimeLimitExceeded)
                self._gate.wait()
                self.outcomes[struck, self._outcome] += 1
                self._work_length = max(0, self._work_length + (-7 if struck else 7))
                self._interruptible = Interruptible()
        self._caller.join(timeout=30)
        assert not self._caller.is_alive()

    def _call_on_and_on(self) -> None:
        for number in range(ROUNDS):
            try:
                self._gate.wait()
                self._outcome = self._call()
                # Room for a late strike: this is where a worker would record the outcome.
                for _ in range(200):
                    pass
                self._gate.wait()
            except Interrupt:
                self.strays.append(f"round {number}")
                self._gate.abort()
                return

    def _call(self) -> str:
        try:
            return self._interruptible.run(self._work)
        except TimeLimitExceeded:
            return "struck"
        except (OwnError, ShutdownRequested) as error:
            return type(error).__name__

    def _work(self) -> str:
        for _ in range(self._work_length):
            pass
        return self.ending()


@pytest.mark.usefixtures("_many_switches")
@pytest.mark.parametrize(
    ("ending", "own"),
    [(return_normally, "returned"), (raise_an_error, "OwnError")],
)
def test_in_thousands_of_races_a_call_is_struck_exactly_when_told_and_never_afterwards(
    ending: Callable[[], str], own: str
) -> None:
    race = Race(ending)
    race.run()
    assert race.strays == []
    # Told "struck" means struck, told "too late" means its own ending; and both did happen.
    assert set(race.outcomes) == {(True, "struck"), (False, own)}


@pytest.mark.usefixtures("_many_switches")
def test_a_call_that_stops_by_itself_while_it_is_interrupted_is_not_struck_afterwards() -> None:
    race = Race(stop_by_itself)
    race.run()
    assert race.strays == []
    assert (False, "struck") not in race.outcomes
    assert race.outcomes[False, "ShutdownRequested"] > 0


def test_a_thread_serves_the_next_call_after_it_was_struck() -> None:
    ends: list[object] = []
    first, second = Interruptible(), Interruptible()

    def serve() -> None:
        for interruptible, call in ((first, forever), (second, lambda: "served")):
            try:
                ends.append(interruptible.run(call))
            except Interrupt as error:
                ends.append(type(error))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    until(lambda: first.interrupt(ClaimLost), "the first call to begin")
    thread.join(timeout=30)
    assert ends == [ClaimLost, "served"]
