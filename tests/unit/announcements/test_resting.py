"""Who is refused is left alone for a while; the others are not."""

from workers.announcements.resting import Resting


def test_only_who_was_refused_rests() -> None:
    resting = Resting()
    resting.note(tried={1, 2}, refused={2}, now=100)
    assert resting.at(100.5) == [2]
    assert resting.at(101) == []


def test_each_refusal_doubles_the_rest_up_to_a_minute() -> None:
    resting = Resting()
    rests = []
    now = 0.0
    for _ in range(8):
        resting.note(tried={1}, refused={1}, now=now)
        seconds = next(each for each in range(1, 100) if not resting.at(now + each))
        rests.append(seconds)
        now += seconds
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60]


def test_once_it_was_taken_the_next_rest_is_short_again() -> None:
    resting = Resting()
    for refused in ({1}, {1}, set[int](), {1}):
        resting.note(tried={1}, refused=refused, now=0)
    assert resting.at(0.9) == [1]
    assert resting.at(1) == []
