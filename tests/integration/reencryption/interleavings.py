"""Writers, rotations, runs, deaths, and keys that come and go: in any order."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
)

from tests.integration.reencryption.application import Application
from workers.encryption.ciphertext import named_key
from workers.errors import ConflictError, InvalidRequestError
from workers.jobs.retry import LeaseLostError
from workers.keys.keyring import DestroyedKeyError, SuspendedKeyError
from workers.keys.listing import list_keys
from workers.keys.states import State
from workers.reencryption.control import cancel_run, pause_run, resume_run

CLOSED = {State.DESTROYED: DestroyedKeyError, State.SUSPENDED: SuspendedKeyError}
"""Why a value may be unreadable for a while, by the state of its key."""


class Interleavings(Application):
    """A table, its application, its keys and its runs, in any order of events."""

    between: Callable[[int], object] | None = None
    transactions = 0

    # ------------------------------------------------------------------------------------ keys

    def keys(self) -> Any:
        return list_keys(self.stage.connection, organization_id=self.stage.acme)

    def disturb(self) -> None:
        self.is_disturbed, self.settled = True, None

    @rule()
    def key_rotates(self) -> None:
        self.rotate()

    def rotate(self) -> None:
        self.stage.rotate()
        self.settled = None

    @rule(to=st.sampled_from((State.SUSPENDED, State.DESTROYED)), data=st.data())
    def key_is_closed(self, to: State, data: st.DataObject) -> None:
        numbers = [key.number for key in self.keys() if key.state is State.ARCHIVED]
        if numbers:
            number = data.draw(st.sampled_from(numbers))
            if to is State.DESTROYED:
                with suppress(InvalidRequestError, ConflictError):  # it was exported before
                    self.stage.export(number)
            self.stage.move_key(number, to)
            self.disturb()

    @rule(data=st.data())
    def key_is_opened_again(self, data: st.DataObject) -> None:
        closed = [key for key in self.keys() if key.state in CLOSED]
        if closed:
            self.open_again(data.draw(st.sampled_from(closed)))

    def open_again(self, key: Any) -> None:
        if key.state is State.SUSPENDED:
            self.stage.move_key(key.number, State.ARCHIVED)
        else:
            self.stage.bring_back(key.number)

    # ------------------------------------------------------------------------------------ runs

    @rule(purpose=st.sampled_from(("reencrypt", "reencrypt", "encrypt", "decrypt")))
    def run_is_asked_for(self, purpose: Any) -> None:
        self.begin(purpose)

    @rule()
    def key_rotates_and_values_follow(self) -> None:
        self.rotate()
        if self.run_id is not None:
            resume_run(self.stage.connection, self.run_id)
        self.begin("encrypt")  # from whatever state the field is in

    def begin(self, purpose: Any) -> None:
        with suppress(ConflictError):
            self.run_id = self.stage.start(purpose, *self.holding.field_names, workers=2)
            self.is_disturbed = any(key.state in CLOSED for key in self.keys())
            self.settled = None

    @precondition(lambda self: self.run_id is not None)
    @rule(what=st.sampled_from((pause_run, resume_run, resume_run, cancel_run)))
    def somebody_steers_the_run(self, what: Any) -> None:
        self.steer(what)

    def steer(self, what: Any) -> None:
        reason = {"reason": "a test"} if what is pause_run else {}
        what(self.stage.connection, self.run_id, **reason)

    @rule()
    def worker_does_a_job(self) -> None:
        self.work(None)

    @rule(at=st.integers(0, 3), what=Application.WRITES, rotates=st.booleans(), data=st.data())
    def worker_does_a_job_and_the_application_writes_meanwhile(
        self, at: int, what: str, rotates: bool, data: st.DataObject
    ) -> None:
        rows = {self.some_row(data) for _ in range(4)}
        if rotates:
            self.key_rotates_and_values_follow()

        def write(number: int) -> None:
            for row in rows if number == at else ():
                self.write(what, row)

        self.work(write)

    @rule()
    def workers_do_all_jobs(self) -> None:
        for _ in range(12):
            self.work(None)

    @rule(at=st.integers(0, 3))
    def worker_does_a_job_and_the_key_rotates_meanwhile(self, at: int) -> None:
        self.work(lambda number: self.rotate() if number == at else None)

    @precondition(lambda self: self.run_id is not None)
    @rule(at=st.integers(0, 3), what=st.sampled_from((pause_run, cancel_run)))
    def worker_does_a_job_and_the_run_is_stopped_meanwhile(self, at: int, what: Any) -> None:
        self.work(lambda number: self.steer(what) if number == at else None)

    @rule(at=st.integers(0, 3))
    def worker_dies_during_a_job(self, at: int) -> None:
        def die(number: int) -> None:
            if number == at:
                raise LeaseLostError("as if killed")

        self.work(die)

    @rule()
    def the_dead_are_found(self) -> None:
        self.stage.bury_the_dead()

    def work(self, between: Callable[[int], object] | None) -> None:
        """Do the next job, or with ``between`` the next that writes, and that amid its writing."""
        for _ in range(4):
            self.stage.make_due()
            if between is None or self.stage.next_kind() == "reencryption.work":
                break
            self.stage.execute_next()
        self.between, self.transactions = between, 0
        self.stage.execute_next()
        self.between = None
        self.see_whether_the_run_is_through()

    def see_whether_the_run_is_through(self) -> None:
        if self.run_id is None or self.is_disturbed or self.settled is not None:
            return
        run = self.stage.run(self.run_id)
        active = self.stage.keyring.active_number(self.stage.acme)
        if run.state == "completed" and run.target_number in (None, active):
            self.settled = {run.target_number}

    def before_transaction(self) -> None:
        """Do what is to be done between two transactions of a worker."""
        number, self.transactions = self.transactions, self.transactions + 1
        if self.between is not None:
            self.between(number)

    # ------------------------------------------------------------------------------ what holds

    @invariant()
    def every_value_is_right_or_its_key_is_closed(self) -> None:
        if not hasattr(self, "holding"):
            return
        states = {key.number: key.state for key in self.keys()}
        opened, stored = self.holding.opened(), self.holding.stored()
        expected = self.holding.expected[self.stage.acme]
        assert opened.keys() == expected.keys()
        for row, values in opened.items():
            for column, value in values.items():
                if isinstance(value, DestroyedKeyError | SuspendedKeyError):
                    number = self.number_of(stored[row][column])
                    assert isinstance(value, CLOSED[states[number]])
                else:
                    assert value == expected[row][column], (row, column, stored[row][column])

    @invariant()
    def once_a_run_is_through_nothing_is_left_behind_it(self) -> None:
        if self.settled is not None:
            assert set(self.holding.numbers()) <= self.settled

    @staticmethod
    def number_of(stored: Any) -> int:
        number = named_key(stored)
        assert number is not None
        return number

    def teardown(self) -> None:
        """Once all keys are back and everybody is through, everything is right and in order."""
        if not hasattr(self, "holding"):
            return
        if self.open is not None:
            self.application_ends_its_long_transaction(commits=True)
            self.once_a_run_is_through_nothing_is_left_behind_it()
        for key in self.keys():
            if key.state in CLOSED:
                self.open_again(key)
        self.stage.bury_the_dead()
        if self.run_id is not None:
            resume_run(self.stage.connection, self.run_id)
            run = self.stage.settle(self.run_id)
            assert run.state in ("completed", "cancelled"), run
        self.every_value_is_right_or_its_key_is_closed()
        run = self.stage.complete("encrypt", *self.holding.field_names)
        self.holding.assert_nothing_lost()
        assert self.stage.quarantine() == {}
        assert set(self.holding.numbers()) <= {run.target_number}
        assert run.target_number == self.stage.keyring.active_number(self.stage.acme)
