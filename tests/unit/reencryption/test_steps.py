"""How long a run waits before it goes over a table once more."""

from datetime import timedelta

from workers.reencryption.steps import _pause_before


def test_the_first_passes_follow_at_once() -> None:
    assert [_pause_before(number) for number in (1, 2, 3)] == [timedelta(0)] * 3


def test_who_is_in_the_way_after_a_few_passes_is_given_more_and_more_time_but_not_for_ever() -> (
    None
):
    pauses = [_pause_before(number).total_seconds() for number in range(4, 60)]
    assert pauses[:5] == [2, 4, 8, 16, 30]
    assert set(pauses[5:]) == {30}
