"""Order within each subject, whatever the broker does."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.announcements.announced import announced
from workers.announcements.reading import Announced
from workers.announcements.waves import Outcome, in_waves, publish_in_order


def numbers(waves: Sequence[Sequence[Announced]]) -> list[list[int]]:
    return [[each.sequence for each in wave] for wave in waves]


def test_a_wave_has_one_of_each_subject() -> None:
    about = ["a", "b", "a", "c", "a", "b"]
    told = [announced(number, subject) for number, subject in enumerate(about)]
    assert numbers(in_waves(told)) == [[0, 1, 3], [2, 5], [4]]


def test_the_same_subject_in_another_organization_is_another() -> None:
    told = [announced(1), announced(2, organization_id=8)]
    assert numbers(in_waves(told)) == [[1, 2]]


def test_what_follows_something_unconfirmed_in_its_subject_is_held_back() -> None:
    told = [announced(1, "a"), announced(2, "b"), announced(3, "a"), announced(4, "b")]
    sent: list[int] = []

    def publish(wave: Sequence[Announced]) -> set[int]:
        sent.extend(each.sequence for each in wave)
        return {position for position, each in enumerate(wave) if each.sequence == 1}

    outcome = Outcome()
    publish_in_order(told, publish, outcome)
    assert sent == [1, 2, 4]
    assert outcome.confirmed == [2, 4]
    assert [each.sequence for each in outcome.held_back] == [1, 3]


def test_what_was_confirmed_before_an_error_is_known() -> None:
    def publish(wave: Sequence[Announced]) -> set[int]:
        if wave[0].sequence == 3:
            raise ConnectionError
        return set()

    outcome = Outcome()
    with pytest.raises(ConnectionError):
        publish_in_order([announced(number, "a") for number in (1, 2, 3, 4)], publish, outcome)
    assert outcome.confirmed == [1, 2]


@given(
    subjects=st.lists(st.sampled_from("abcd"), max_size=30),
    refused=st.sets(st.integers(0, 29)),
)
def test_nothing_overtakes_and_nothing_is_forgotten(subjects: list[str], refused: set[int]) -> None:
    told = [announced(number, subject) for number, subject in enumerate(subjects)]
    confirmed: dict[str, list[int]] = {}

    def publish(wave: Sequence[Announced]) -> set[int]:
        for each in wave:
            if each.sequence not in refused:
                confirmed.setdefault(each.subject, []).append(each.sequence)
        return {position for position, each in enumerate(wave) if each.sequence in refused}

    outcome = Outcome()
    publish_in_order(told, publish, outcome)
    for subject, sequences in confirmed.items():
        of_subject = [each.sequence for each in told if each.subject == subject]
        assert sequences == of_subject[: len(sequences)]
    held_back = [each.sequence for each in outcome.held_back]
    assert sorted(outcome.confirmed + held_back) == list(range(len(subjects)))
