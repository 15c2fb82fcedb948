"""What may follow what, and by when."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.certificates.replacement.plan import (
    Place,
    Standing,
    StepState,
    check_may_finish,
    deadlines,
    is_over,
    moves_all_back,
    moves_back,
    moves_on,
    state_before,
    uses_new,
)
from workers.errors import ConflictError, InvalidRequestError, NotFoundError

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WAITING, OVERLAPPING, SWITCHED, RETIRED = StepState
BILLING, SHOP, GONE = (Place("api_client", name) for name in ("Billing", "Shop", "Gone"))


def standings(billing: StepState, shop: StepState) -> list[Standing]:
    return [Standing(BILLING, billing), Standing(SHOP, shop), Standing(GONE, None)]


@given(
    left=st.timedeltas(min_value=timedelta(minutes=1), max_value=3650 * DAY),
    share=st.one_of(st.none(), st.floats(0.01, 0.99)),
)
def test_deadlines_are_in_order_between_now_and_the_end(
    left: timedelta, share: float | None
) -> None:
    switch_by = None if share is None else NOW + left * share
    by = deadlines(now=NOW, not_after=NOW + left, switch_by=switch_by)
    assert NOW < by.overlap_by <= by.switch_by <= by.retire_by < NOW + left
    assert switch_by in (None, by.switch_by)


def test_with_time_enough_there_are_weeks_between_the_steps_and_one_before_the_end() -> None:
    end = NOW + 365 * DAY
    by = deadlines(now=NOW, not_after=end)
    assert (end - by.retire_by, end - by.switch_by, end - by.overlap_by) == (
        *(7 * DAY, 14 * DAY, 28 * DAY),
    )


def test_of_what_has_ended_everything_is_due_now() -> None:
    by = deadlines(now=NOW, not_after=NOW - DAY)
    assert by.overlap_by == by.switch_by == by.retire_by == NOW


@pytest.mark.parametrize("name", ["overlap_by", "switch_by", "retire_by"])
@pytest.mark.parametrize("days", [-1, 0, 90, 91])
def test_a_deadline_lies_between_now_and_the_end(name: str, days: int) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{name}: .*2026-08-30 12:00 UTC"):
        deadlines(now=NOW, not_after=NOW + 90 * DAY, **{name: NOW + days * DAY})


def test_deadlines_out_of_order_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="each at the same time"):
        deadlines(now=NOW, not_after=NOW + 90 * DAY, overlap_by=NOW + 9 * DAY, switch_by=NOW + DAY)
    with pytest.raises(InvalidRequestError, match="each at the same time"):
        deadlines(now=NOW, not_after=NOW + 90 * DAY, switch_by=NOW + 9 * DAY, retire_by=NOW + DAY)


@pytest.mark.parametrize(
    ("state", "to"), list(product(StepState, [OVERLAPPING, SWITCHED, RETIRED]))
)
def test_a_place_takes_the_next_step_only(state: StepState, to: StepState) -> None:
    order = list(StepState)
    gap = order.index(to) - order.index(state)
    if gap > 1:
        with pytest.raises(ConflictError, match=f"Billing is {state}"):
            moves_on(standings(state, to), to=to, chosen=[BILLING])
        return
    decision = moves_on(standings(state, to), to=to, chosen=[BILLING])
    assert decision.moving == ((Standing(BILLING, state),) if gap == 1 else ())
    assert decision.there_already == (() if gap == 1 else (BILLING,))


def test_without_a_choice_those_move_that_can() -> None:
    decision = moves_on(standings(OVERLAPPING, WAITING), to=SWITCHED, chosen=[])
    assert [each.place for each in decision.moving] == [BILLING]
    assert decision.too_early == (SHOP,)
    with pytest.raises(ConflictError, match=r"Billing is waiting\n- api_client: Shop is waiting"):
        moves_on(standings(WAITING, WAITING), to=SWITCHED, chosen=[])
    assert moves_on([], to=SWITCHED, chosen=[]).moving == ()


def test_only_a_switch_can_do_without_overlap() -> None:
    both = standings(WAITING, OVERLAPPING)
    assert len(moves_on(both, to=SWITCHED, chosen=[], without_overlap=True).moving) == 2
    with pytest.raises(ConflictError):
        moves_on(both, to=RETIRED, chosen=[], without_overlap=True)


def test_nothing_moves_on_to_waiting() -> None:
    with pytest.raises(InvalidRequestError, match="roll back"):
        moves_on(standings(OVERLAPPING, WAITING), to=WAITING, chosen=[])


@pytest.mark.parametrize("place", [GONE, Place("api_client", "Nobody")])
def test_a_place_that_has_no_part_cannot_be_chosen(place: Place) -> None:
    both = standings(OVERLAPPING, WAITING)
    with pytest.raises(NotFoundError, match=str(place)):
        moves_on(both, to=SWITCHED, chosen=[BILLING, place])
    with pytest.raises(NotFoundError, match=str(place)):
        moves_back(both, chosen=[place])


def test_back_is_the_same_way() -> None:
    assert [state_before(state) for state in StepState] == [
        *(WAITING, WAITING, OVERLAPPING, SWITCHED)
    ]
    decision = moves_back(standings(RETIRED, WAITING), chosen=[BILLING, SHOP])
    assert decision.moving == (Standing(BILLING, RETIRED),)
    assert decision.there_already == (SHOP,)


def test_all_go_back_unless_one_has_given_up_the_old_one() -> None:
    assert len(moves_all_back(standings(SWITCHED, OVERLAPPING)).moving) == 2
    with pytest.raises(ConflictError, match=r"api_client: Shop$"):
        moves_all_back(standings(SWITCHED, RETIRED))


def test_it_is_over_when_every_place_has_given_up_the_old_one() -> None:
    assert is_over(standings(RETIRED, RETIRED))
    assert not is_over(standings(RETIRED, SWITCHED))
    assert not is_over([Standing(GONE, None)])
    assert check_may_finish(standings(RETIRED, SWITCHED)) == (Standing(SHOP, SWITCHED),)
    with pytest.raises(ConflictError, match="Shop is overlapping"):
        check_may_finish(standings(RETIRED, OVERLAPPING))


def test_a_place_that_has_switched_uses_the_new_one() -> None:
    assert [uses_new(state) for state in StepState] == [False, False, True, True]
