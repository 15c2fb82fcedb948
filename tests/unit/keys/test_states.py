"""What each state of a master key allows, and where it leads."""

from itertools import product

import pytest

from workers.errors import PermanentError
from workers.keys.states import (
    LEGAL_MOVES,
    DestroyedKeyError,
    State,
    SuspendedKeyError,
    UnknownKeyError,
    check_may_decrypt,
    may_decrypt,
    may_encrypt,
    may_move,
)


def test_only_the_active_key_encrypts() -> None:
    assert [state for state in State if may_encrypt(state)] == [State.ACTIVE]


def test_what_encrypted_once_decrypts_until_it_is_suspended_or_destroyed() -> None:
    assert {state for state in State if may_decrypt(state)} == {
        State.ACTIVE,
        State.ARCHIVED,
        State.COMPROMISED,
    }


def test_what_encrypts_also_decrypts() -> None:
    assert all(may_decrypt(state) for state in State if may_encrypt(state))


@pytest.mark.parametrize("state", [State.ACTIVE, State.ARCHIVED, State.COMPROMISED])
def test_a_key_that_decrypts_passes_the_check(state: State) -> None:
    check_may_decrypt(7, state)


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        (None, UnknownKeyError, "There is no master key 7;"),
        (State.PRE_ACTIVE, UnknownKeyError, "Master key 7 was never put to use"),
        (State.SUSPENDED, SuspendedKeyError, "Master key 7 is suspended;"),
        (State.DESTROYED, DestroyedKeyError, "Master key 7 was destroyed; import its export"),
    ],
)
def test_a_key_that_does_not_decrypt_says_why_and_what_to_do(
    state: State | None, error: type[PermanentError], words: str
) -> None:
    with pytest.raises(PermanentError, match=f"^{words}") as refused:
        check_may_decrypt(7, state)
    assert type(refused.value) is error


def test_every_reason_has_a_code_of_its_own() -> None:
    assert [each.code for each in (UnknownKeyError, SuspendedKeyError, DestroyedKeyError)] == [
        "unknown-key",
        "suspended-key",
        "destroyed-key",
    ]


def test_no_state_leads_to_itself() -> None:
    assert not any(may_move(state, state) for state in State)


def test_a_key_becomes_active_once_and_only_from_pre_active() -> None:
    assert [former for former, latter in LEGAL_MOVES if latter is State.ACTIVE] == [
        State.PRE_ACTIVE
    ]
    assert not any(latter is State.PRE_ACTIVE for _, latter in LEGAL_MOVES)


def test_an_active_key_is_neither_destroyed_nor_suspended_without_giving_way_first() -> None:
    assert {latter for former, latter in LEGAL_MOVES if former is State.ACTIVE} == {
        State.ARCHIVED,
        State.COMPROMISED,
    }


def test_a_destroyed_key_comes_back_as_archived_and_as_nothing_else() -> None:
    assert [latter for former, latter in LEGAL_MOVES if former is State.DESTROYED] == [
        State.ARCHIVED
    ]


def test_a_compromised_key_is_never_trusted_again() -> None:
    assert [latter for former, latter in LEGAL_MOVES if former is State.COMPROMISED] == [
        State.DESTROYED
    ]


def test_every_state_but_the_active_one_can_end_in_destruction() -> None:
    assert all(
        may_move(state, State.DESTROYED)
        for state in State
        if state not in (State.ACTIVE, State.DESTROYED)
    )


def test_twelve_of_the_thirty_six_pairs_are_moves() -> None:
    assert sum(may_move(former, latter) for former, latter in product(State, State)) == 12
