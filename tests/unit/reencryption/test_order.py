"""In which order rows are written: each once, and far apart."""

from hypothesis import given
from hypothesis import strategies as st

from workers.reencryption.order import LANES, STRIDES, in_strides, rows_at_a_time


@given(st.integers(0, 40_000))
def test_each_row_is_written_once(count: int) -> None:
    written = [index for indices in in_strides(count) for index in indices]
    assert sorted(written) == list(range(count))


@given(st.integers(1, 40_000))
def test_no_transaction_is_empty(count: int) -> None:
    assert all(in_strides(count))


def test_nothing_is_written_in_no_transaction() -> None:
    assert list(in_strides(0)) == []


def test_of_many_rows_one_transaction_writes_none_that_are_neighbours() -> None:
    for indices in in_strides(rows_at_a_time(300)):
        assert indices.step == STRIDES


def test_before_the_same_pages_come_round_again_all_others_were_written() -> None:
    count = rows_at_a_time(300)
    begins = [indices.start * LANES // count for indices in in_strides(count)]
    assert begins == list(range(LANES)) * STRIDES


def test_few_rows_are_written_in_few_transactions() -> None:
    assert list(in_strides(30)) == [range(0, 30, 1)]
    assert len(list(in_strides(100))) == 5


def test_so_many_are_read_that_every_transaction_gets_about_what_it_wants() -> None:
    for wanted in (20, 300, 400):
        sizes = [len(indices) for indices in in_strides(rows_at_a_time(wanted))]
        assert set(sizes) == {wanted}
