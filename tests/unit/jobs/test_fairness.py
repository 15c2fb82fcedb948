from hypothesis import given
from hypothesis import strategies as st

from workers.jobs.fairness import (
    AHEAD_ALONE_SECONDS,
    AHEAD_SECONDS,
    COMPANY_SECONDS,
    FEWEST,
    MOST,
    Pace,
)


def test_who_has_offered_nothing_yet_may_offer_a_few() -> None:
    assert Pace().bound(1000.0) == FEWEST


def test_the_bound_is_what_is_taken_in_a_moment() -> None:
    pace = Pace()
    for step in range(100):
        pace.note([1] * 25 + [2] * 25, step * 0.02)  # 2,500 a second
    assert abs(pace.bound(100 * 0.02) - 2500 * AHEAD_SECONDS) < 10


def test_whoever_is_alone_has_more_ahead_until_another_comes_and_a_while_after_it_left() -> None:
    pace = Pace()
    alone, together = 1000 * AHEAD_ALONE_SECONDS, 1000 * AHEAD_SECONDS
    bounds: list[int] = []
    for step in range(10_000):  # a hundred seconds
        now = step * 0.01
        pace.note([1] * 10 + [2] * (step == 2000), now)
        bounds.append(pace.bound(now))
    near = [abs(bound - alone) < abs(bound - together) for bound in bounds]
    left_at = 2000 + int(100 * COMPANY_SECONDS)
    assert all(near[500:2000])
    assert not any(near[2000 : left_at - 10])
    assert all(near[left_at + 10 :])


def test_who_takes_turns_has_company() -> None:
    pace = Pace()
    for step in range(200):
        pace.note([step % 2] * 10, step * 0.01)
    assert pace.bound(2.0) < 1000 * AHEAD_SECONDS * 2


def test_slow_jobs_leave_the_fewest_on_offer() -> None:
    pace = Pace()
    for second in range(10):
        pace.note([1] * 4, float(second))
    assert pace.bound(10.0) == FEWEST


def test_it_grows_within_moments_and_is_forgotten_within_a_second() -> None:
    pace = Pace()
    offered = 0
    for step in range(30):
        now = 5 + step * 0.01
        offered = pace.bound(now)
        pace.note([1] * offered, now)
    assert offered > 10 * FEWEST
    assert pace.bound(7.0) == FEWEST


@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(0, 1000)), max_size=200))
def test_the_bound_stays_within_its_bounds(steps: list[tuple[float, int]]) -> None:
    pace = Pace()
    now = 0.0
    for pause, offered in steps:
        now += pause
        pace.note([1] * offered, now)
        assert FEWEST <= pace.bound(now) <= MOST
