"""Any sequence of moves, against a plain model: one active key, and nothing readable is lost."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.integration.keys.keyholder import Keyholder, keyholder
from workers.database.pool import Connection, Pool
from workers.errors import ConflictError, NotFoundError
from workers.keys import store
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.keyring import DestroyedKeyError, KeyRing, SuspendedKeyError, UnknownKeyError
from workers.keys.listing import key_history
from workers.keys.root_keys import RootKeys
from workers.keys.rotation import Prepared, RotationOvertakenError
from workers.keys.states import LEGAL_MOVES, Origin, State, may_decrypt, may_encrypt
from workers.keys.unwrapping import wrap_key
from workers.keys.withdrawal import compromise, reinstate, suspend

FIELD = uuid4()
NONCE = bytes(12)
REFUSALS = {
    State.PRE_ACTIVE: UnknownKeyError,
    State.SUSPENDED: SuspendedKeyError,
    State.DESTROYED: DestroyedKeyError,
}
numbers = st.integers(1, 6)


def conflict_unless(allowed: bool) -> AbstractContextManager[object]:
    """Expect a refusal, unless what is tried is allowed."""
    return nullcontext() if allowed else pytest.raises((ConflictError, UnknownKeyError))


class LifeCycle(RuleBasedStateMachine):
    """Keys of one organization; ``model`` says in which state each is, by number."""

    def __init__(self, acme: Keyholder, ring: KeyRing) -> None:
        super().__init__()
        self.acme = acme
        self.ring = ring
        self.model: dict[int, State] = {}
        self.has_begun = False
        self.halves = list[Prepared]()
        self.sealed: dict[int, bytes] = {}
        # As in the exports that somebody keeps; keyed by number.
        self.exports: dict[int, CleartextKey] = {}

    @property
    def active(self) -> int | None:
        """The active key by the model."""
        return next((n for n, state in self.model.items() if state is State.ACTIVE), None)

    def promoted(self, number: int, former: int | None, to: State = State.ARCHIVED) -> None:
        """Follow a rotation in the model."""
        for each, state in self.model.items():
            if state is State.PRE_ACTIVE:
                self.model[each] = State.DESTROYED
        if former is not None:
            self.model[former] = to
        self.model[number] = State.ACTIVE
        self.has_begun = True

    @rule(uses_next=st.booleans())
    def rotate(self, uses_next: bool) -> None:
        """Rotate as whoever looked before would."""
        former, before = self.active, set(self.model)
        rotated = self.acme.rotate(former)
        assert (rotated.former, rotated.rotated) == (former, True)
        assert self.model.get(rotated.number, State.PRE_ACTIVE) is State.PRE_ACTIVE
        assert rotated.number in before or rotated.number == max(before, default=0) + 1
        self.promoted(rotated.number, former)
        if uses_next:
            self.encrypt()

    @rule(expected=st.none() | numbers)
    def rotate_with_an_expectation(self, expected: int | None) -> None:
        """Rotate as somebody would who may be late."""
        active = self.active
        if expected == active:
            self.promoted(self.acme.rotate(expected).number, expected)
        elif active is None or (expected or 0) > active:
            with pytest.raises(NotFoundError):
                self.acme.rotate(expected)
        else:
            late = self.acme.rotate(expected)
            assert (late.number, late.rotated) == (active, False)

    @rule(uploads=st.booleans())
    def begin_a_rotation_and_die(self, uploads: bool) -> None:
        """Do the first half only."""
        options: dict[str, Any] = (
            {"material": CleartextKey.generate(), "origin": Origin.UPLOADED} if uploads else {}
        )
        half = self.acme.prepared(self.active, **options)
        self.model[half.number] = State.PRE_ACTIVE
        self.halves.append(half)

    @precondition(lambda self: self.halves)
    @rule(data=st.data())
    def go_on_with_a_rotation(self, data: st.DataObject) -> None:
        """Do the second half of one that was thought dead."""
        half = data.draw(st.sampled_from(self.halves))
        self.halves.remove(half)
        waits = self.model[half.number] is State.PRE_ACTIVE
        if half.expected_number != self.active:
            assert self.acme.finish(half).rotated is False
            self.model[half.number] = State.DESTROYED if waits else self.model[half.number]
        elif waits:
            assert self.acme.finish(half).rotated
            self.promoted(half.number, half.expected_number)
        else:
            # Somebody has destroyed it on purpose.
            with pytest.raises(RotationOvertakenError):
                self.acme.finish(half)

    @rule(number=numbers)
    def compromise(self, number: int) -> None:
        """Report a key as compromised."""
        state = self.model.get(number)
        change = self.change(compromise, self.acme.root_keys)
        if state is State.ACTIVE:
            self.promoted(change(number=number).number, number, State.COMPROMISED)
            return
        allowed = state in (State.ARCHIVED, State.SUSPENDED)
        with conflict_unless(allowed):
            change(number=number)
        self.follow(number, State.COMPROMISED, allowed)

    @rule(number=numbers)
    def suspend(self, number: int) -> None:
        """Suspend a key."""
        allowed = self.model.get(number) is State.ARCHIVED
        with conflict_unless(allowed):
            self.change(suspend)(number=number)
        self.follow(number, State.SUSPENDED, allowed)

    @rule(number=numbers)
    def reinstate(self, number: int) -> None:
        """Reinstate a key."""
        allowed = self.model.get(number) is State.SUSPENDED
        with conflict_unless(allowed):
            self.change(reinstate)(number=number)
        self.follow(number, State.ARCHIVED, allowed)

    @rule(number=numbers)
    def destroy(self, number: int) -> None:
        """Destroy a key, after somebody has kept an export if it has any use."""
        state = self.model.get(number)
        allowed = state is not None and (state, State.DESTROYED) in LEGAL_MOVES
        if state is not None and may_decrypt(state):
            self.exports[number] = self.ring.key(
                self.acme.organization_id, number
            )._MasterKey__cleartext  # type: ignore[attr-defined]
        with conflict_unless(allowed):
            self.acme.move(number, State.DESTROYED)
        self.follow(number, State.DESTROYED, allowed)

    @precondition(lambda self: self.exports)
    @rule(data=st.data())
    def import_a_destroyed_key(self, data: st.DataObject) -> None:
        """Bring a key back from its export."""
        number = data.draw(st.sampled_from(sorted(self.exports)))
        if self.model[number] is not State.DESTROYED:
            return
        holder = self.acme
        wrapped = wrap_key(
            holder.root_keys.current,
            self.exports[number],
            organization_id=holder.organization_id,
            number=number,
        )
        with holder.connection.transaction():
            holder.move(number, State.ARCHIVED, only_from=(State.DESTROYED,))
            store.add_wraps(
                holder.connection,
                organization_id=holder.organization_id,
                number=number,
                wraps={holder.root_keys.current.identifier: wrapped},
            )
        self.model[number] = State.ARCHIVED

    @rule()
    def encrypt(self) -> None:
        """Encrypt something under the active key, which may be the first."""
        first = self.active is None
        key = self.ring.active_key(self.acme.organization_id)
        if first:
            self.promoted(key.number, None)
        assert may_encrypt(self.model[key.number])
        self.sealed[key.number] = key.field_aead(FIELD).encrypt(NONCE, b"%d" % key.number, None)

    @invariant()
    def the_database_agrees_with_the_model(self) -> None:
        """Compare states, histories and wraps."""
        assert self.acme.states() == {n: state.value for n, state in self.model.items()}
        actives = list(self.model.values()).count(State.ACTIVE)
        assert actives == (1 if self.has_begun else 0)
        assert sorted(self.model) == list(range(1, len(self.model) + 1))
        for number, state in self.model.items():
            assert bool(self.acme.wraps(number)) == (state is not State.DESTROYED)
            history = key_history(self.acme.connection, self.acme.organization_id, number)
            assert history[-1].to_state is state
            assert (history[0].from_state, history[0].to_state) == (None, State.PRE_ACTIVE)
            moves = [(move.from_state, move.to_state) for move in history[1:]]
            assert set(moves) <= LEGAL_MOVES
            assert [former for former, _ in moves] == [move.to_state for move in history[:-1]]

    @invariant()
    def what_may_be_read_is_read_and_nothing_else(self) -> None:
        """Ask the ring for every key, and open what is sealed under it."""
        for number, state in self.model.items():
            if not may_decrypt(state):
                with pytest.raises(REFUSALS[state]):
                    self.ring.key(self.acme.organization_id, number)
            elif number in self.sealed:
                aead = self.ring.key(self.acme.organization_id, number).field_aead(FIELD)
                assert aead.decrypt(NONCE, self.sealed[number], None) == b"%d" % number

    def change(self, function: Callable[..., Any], *arguments: object) -> Callable[..., Any]:
        """Return a function that wants nothing but the number of a key."""
        return lambda number: function(
            self.acme.connection,
            *arguments,
            organization_id=self.acme.organization_id,
            number=number,
            actor="alice",
            reason="a test",
        )

    def follow(self, number: int, to: State, allowed: bool) -> None:
        """Move a key in the model, if the move was allowed."""
        if allowed:
            self.model[number] = to


def test_no_sequence_of_moves_breaks_a_rule(
    connection: Connection, pool: Pool, root_keys: RootKeys
) -> None:
    ring = KeyRing(pool, root_keys, max_age_seconds=0)

    class OfAnOrganization(LifeCycle):
        def __init__(self) -> None:
            super().__init__(keyholder(connection, root_keys, str(uuid4())), ring)

    run_state_machine_as_test(
        OfAnOrganization,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
