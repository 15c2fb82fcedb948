"""Many threads that want the same are served in one go, each with its own answer."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.servers.waiting import until
from workers.jobs.together import Together


class Counter:
    """Doubles numbers, when the gate is open, and remembers how it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def double(self, numbers: Sequence[int]) -> list[int]:
        """Return each number doubled; refuse 13."""
        self.asked.append(list(numbers))
        assert self.gate.wait(30)
        if 13 in numbers:
            raise ValueError("13 brings bad luck")
        return [2 * number for number in numbers]


class Crowd:
    """Threads that ask while the first of them is being served."""

    def __init__(self, counter: Counter, numbers: Sequence[int]) -> None:
        together = Together(counter.double)
        counter.gate.clear()
        with ThreadPoolExecutor(len(numbers) + 1) as threads:
            first = threads.submit(together, 0)
            until(lambda: counter.asked == [[0]], "the first to be served")
            self.answers: list[Future[int]] = []
            for number in numbers:
                self.answers.append(threads.submit(together, number))
                # So that they line up in order.
                lined_up = len(self.answers)
                until(lambda lined_up=lined_up: len(together._waiting) == lined_up, "the next")  # type: ignore[misc]
            counter.gate.set()
            assert first.result(30) == 0


def test_who_is_alone_is_served_at_once() -> None:
    counter = Counter()
    together = Together(counter.double)
    assert [together(1), together(2)] == [2, 4]
    assert counter.asked == [[1], [2]]


def test_who_waits_is_served_in_one_go_and_gets_the_own_answer() -> None:
    counter = Counter()
    crowd = Crowd(counter, [5, 3, 4])
    assert counter.asked == [[0], [5, 3, 4]]
    assert [answer.result(30) for answer in crowd.answers] == [10, 6, 8]


def test_thousands_of_questions_from_many_threads_get_their_answers() -> None:
    counter = Counter()
    together = Together(counter.double)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(together, range(20, 4000)))
    assert answers == [2 * number for number in range(20, 4000)]
    assert sorted(number for asked in counter.asked for number in asked) == list(range(20, 4000))


def test_one_that_cannot_be_served_spoils_nothing_for_the_others() -> None:
    crowd = Crowd(Counter(), [5, 13, 4])
    with pytest.raises(ValueError, match="13 brings bad luck"):
        crowd.answers[1].result(30)
    assert (crowd.answers[0].result(30), crowd.answers[2].result(30)) == (10, 8)


def test_after_an_error_the_next_is_served() -> None:
    together = Together(Counter().double)
    with pytest.raises(ValueError, match="13 brings bad luck"):
        together(13)
    assert together(1) == 2
