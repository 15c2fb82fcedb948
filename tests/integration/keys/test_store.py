"""Master keys in the database: which moves it takes, and what it keeps of them."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import psycopg
import pytest

from tests.integration.keys.keyholder import Keyholder, keyholder
from tests.servers.waiting import until
from workers.database.pool import Connection, Pool
from workers.errors import ConflictError, InvalidRequestError, NotFoundError
from workers.keys import store
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.listing import key_history, list_keys, show_key
from workers.keys.root_keys import RootKeys
from workers.keys.states import LEGAL_MOVES, Origin, State, UnknownKeyError, may_move


def others(state: State) -> list[State]:
    """Return the states that are not this one."""
    return [other for other in State if other is not state]


def apply(holder: Keyholder, number: int, to: State) -> None:
    """Move a key by plain SQL, letting another key give way or take its place as needed."""
    with holder.connection.transaction():
        numbers = holder.states()
        was_active = numbers[number] == "active"
        if to is State.ACTIVE:
            [active] = [each for each, state in numbers.items() if state == "active"]
            if active != number:
                holder.set(active, "state", "archived")
        holder.set(number, "state", to.value)
        if was_active and to is not State.ACTIVE:
            assert holder.insert(max(numbers) + 1)
            holder.set(max(numbers) + 1, "state", "active")


def test_the_table_of_moves_is_the_one_in_the_database(connection: Connection) -> None:
    rows = connection.execute(
        "SELECT from_state::text, to_state::text FROM keywright.master_key_transition"
    ).fetchall()
    assert {(State(former), State(latter)) for former, latter in rows} == LEGAL_MOVES


def test_the_states_are_those_of_the_database(connection: Connection) -> None:
    row = connection.execute(
        "SELECT enum_range(NULL::keywright.master_key_state)::text[],"
        " enum_range(NULL::keywright.master_key_origin)::text[]"
    ).fetchone()
    assert row == (list(State), list(Origin))


@pytest.mark.parametrize("former", State)
def test_the_database_takes_the_legal_moves_and_no_others(
    connection: Connection, root_keys: RootKeys, former: State
) -> None:
    for latter in others(former):
        acme = keyholder(connection, root_keys, f"to {latter}")
        number = acme.bring_to(former)
        before = len(key_history(connection, acme.organization_id, number))
        moved = may_move(former, latter)
        with (
            nullcontext()
            if moved
            else pytest.raises(psycopg.errors.ForeignKeyViolation, match="moves_are_legal")
        ):
            apply(acme, number, latter)
        assert acme.states()[number] == (latter if moved else former)
        assert len(key_history(connection, acme.organization_id, number)) == before + moved
        assert list(acme.states().values()).count("active") == 1


@pytest.mark.parametrize("state", State)
def test_staying_in_a_state_is_no_move(acme: Keyholder, state: State) -> None:
    number = acme.bring_to(state)
    before = key_history(acme.connection, acme.organization_id, number)
    acme.set(number, "state", state.value)
    assert key_history(acme.connection, acme.organization_id, number) == before


@pytest.mark.parametrize("former", State)
def test_a_move_that_is_refused_is_a_conflict_in_words(
    connection: Connection, root_keys: RootKeys, former: State
) -> None:
    for latter in others(former):
        acme = keyholder(connection, root_keys, f"to {latter}")
        number = acme.bring_to(former)
        if may_move(former, latter) and State.ACTIVE not in (former, latter):
            acme.move(number, latter)
            assert acme.states()[number] == latter
            continue
        before = acme.states()
        with pytest.raises(ConflictError, match=f"^Master key {number} ") as refused:
            acme.move(number, latter)
        assert refused.value.__cause__ is None
        assert acme.states() == before


def test_a_second_active_key_is_refused_in_words(acme: Keyholder) -> None:
    number = acme.bring_to(State.PRE_ACTIVE)
    with pytest.raises(ConflictError, match="cannot become active beside another; rotate instead"):
        acme.move(number, State.ACTIVE)


def test_an_active_key_that_nothing_follows_stays_active(acme: Keyholder) -> None:
    acme.rotate(None)
    with pytest.raises(ConflictError, match="gives way only to another; rotate instead"):
        acme.move(1, State.ARCHIVED)
    assert acme.states() == {1: "active"}


def test_the_database_itself_refuses_two_active_keys_and_none_after_the_first(
    acme: Keyholder,
) -> None:
    number = acme.bring_to(State.PRE_ACTIVE)
    with pytest.raises(psycopg.errors.UniqueViolation, match="one_active_key_per_organization"):
        acme.set(number, "state", "active")
    acme.connection.execute("BEGIN")
    acme.set(1, "state", "archived")
    assert "active" not in acme.states().values()
    # Not before the end of the transaction: until then another may take its place.
    with pytest.raises(psycopg.errors.CheckViolation, match="without an active master key"):
        acme.connection.execute("COMMIT")
    assert acme.states() == {1: "active", number: "pre_active"}


def test_organizations_have_keys_of_their_own(acme: Keyholder, root_keys: RootKeys) -> None:
    other = keyholder(acme.connection, root_keys, "Other")
    assert [acme.rotate(None).number, other.rotate(None).number] == [1, 1]
    acme.rotate(1)
    assert (acme.states(), other.states()) == ({1: "archived", 2: "active"}, {1: "active"})


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE keywright.master_key_history SET actor = 'mallory'",
        "DELETE FROM keywright.master_key_history",
        "TRUNCATE keywright.master_key_history",
        "DELETE FROM keywright.master_key WHERE key_number = 7",
        "DELETE FROM keywright.master_key",
        "TRUNCATE keywright.master_key CASCADE",
    ],
)
def test_history_and_keys_are_never_deleted(acme: Keyholder, statement: str) -> None:
    acme.bring_to(State.DESTROYED)
    before = list_keys(acme.connection)
    with pytest.raises(psycopg.errors.CheckViolation, match="is not allowed"):
        acme.connection.execute(statement)
    assert list_keys(acme.connection) == before


def test_what_is_not_there_is_said_so(acme: Keyholder) -> None:
    with pytest.raises(UnknownKeyError, match="There is no master key 3; `keywright key list`"):
        show_key(acme.connection, acme.organization_id, 3)
    with pytest.raises(UnknownKeyError, match="There is no master key 3;"):
        acme.move(3, State.ARCHIVED)
    assert store.load_key(acme.connection, acme.organization_id, 3) is None
    assert store.active_number(acme.connection, acme.organization_id) is None
    assert key_history(acme.connection, acme.organization_id, 3) == []
    with pytest.raises(NotFoundError, match="There is no organization 999999"):
        store.lock_organization(acme.connection, 999_999)


def test_a_number_is_taken_once_also_by_a_destroyed_key(acme: Keyholder) -> None:
    number = acme.bring_to(State.DESTROYED)
    assert acme.insert(number) is False
    assert acme.states()[number] == "destroyed"


def test_a_secret_is_accepted_once_by_all_organizations_together(
    acme: Keyholder, root_keys: RootKeys
) -> None:
    other = keyholder(acme.connection, root_keys, "Other")
    key = CleartextKey.generate()
    assert acme.insert(1, key)
    for holder, number in ((acme, 2), (other, 1)):
        with pytest.raises(ConflictError, match="each is accepted once") as refused:
            holder.insert(number, key)
        assert refused.value.__cause__ is None
    assert (acme.states(), other.states()) == ({1: "pre_active"}, {})


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"actor": ""}, "actor: 1 to 200"),
        ({"actor": "a" * 201}, "actor: 1 to 200"),
        ({"reason": ""}, "reason: 1 to 500"),
        ({"reason": "r" * 501}, "reason: 1 to 500"),
        ({"reason": "two\nlines"}, "reason: 1 to 500"),
        ({"actor": "nul\0"}, "actor: 1 to 200"),
    ],
)
def test_nobody_changes_a_key_without_a_name_and_a_reason(
    acme: Keyholder, words: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{complaint}"):
        acme.insert(1, **words)
    number = acme.bring_to(State.ARCHIVED)
    with pytest.raises(InvalidRequestError, match=f"^{complaint}"):
        acme.move(number, State.SUSPENDED, **words)
    assert acme.states()[number] == "archived"


def test_a_key_that_is_destroyed_loses_its_material_and_its_date(acme: Keyholder) -> None:
    number = acme.bring_to(State.ARCHIVED)
    acme.set(number, "destroy_at", "2020-01-01")
    acme.move(number, State.DESTROYED)
    assert acme.wraps(number) == {}
    shown = show_key(acme.connection, acme.organization_id, number)
    assert (shown.destroy_at, shown.root_keys) == (None, [])
    # The others keep theirs.
    assert len(acme.wraps(1)) == 1


def test_any_other_move_leaves_material_and_date(acme: Keyholder) -> None:
    number = acme.bring_to(State.ARCHIVED)
    acme.set(number, "destroy_at", "2020-01-01")
    wraps = acme.wraps(number)
    acme.move(number, State.SUSPENDED)
    assert acme.wraps(number) == wraps
    assert show_key(acme.connection, acme.organization_id, number).destroy_at is not None


def test_a_move_that_is_not_legal_leaves_the_callers_transaction_usable(acme: Keyholder) -> None:
    number = acme.bring_to(State.ARCHIVED)
    with acme.connection.transaction():
        with pytest.raises(ConflictError):
            acme.move(number, State.ACTIVE)
        with pytest.raises(ConflictError, match="is archived, and cannot become destroyed"):
            acme.move(number, State.DESTROYED, only_from=(State.SUSPENDED,))
        acme.move(number, State.SUSPENDED)
    assert acme.states()[number] == "suspended"


def test_a_wrap_that_is_added_never_replaces_one(acme: Keyholder) -> None:
    acme.rotate(None)
    before = acme.wraps(1)
    store.add_wraps(
        acme.connection,
        organization_id=acme.organization_id,
        number=1,
        wraps={acme.root_keys.current.identifier: b"other", "file:new": b"new"},
    )
    assert acme.wraps(1) == {**before, "file:new": b"new"}


def test_a_wrap_that_is_added_while_a_key_is_being_destroyed_goes_too(
    acme: Keyholder, pool: Pool
) -> None:
    number = acme.bring_to(State.ARCHIVED)
    with ThreadPoolExecutor(1) as threads, pool.connection() as adding:
        adding.execute("BEGIN")
        adding.execute("SELECT FROM keywright.master_key FOR SHARE")
        adding.execute(
            "INSERT INTO keywright.master_key_wrap (master_key_id, root_key, wrapped_key)"
            " SELECT master_key_id, 'file:new', 'new' FROM keywright.master_key"
        )
        destroying = threads.submit(acme.move, number, State.DESTROYED)
        with pool.connection() as watching:
            until(
                lambda: watching.execute(
                    "SELECT 1 FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))",
                    [adding.info.backend_pid],
                ).fetchone(),
                "the destruction to wait for the lock",
            )
        adding.execute("COMMIT")
        destroying.result()
    assert (acme.states()[number], acme.wraps(number)) == ("destroyed", {})
