"""An application, in any order of events, as one half of a state machine."""

from typing import Any

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from tests.integration.reencryption.ground import Ground
from tests.integration.reencryption.holding import Holding
from tests.integration.reencryption.stage import Stage
from tests.integration.reencryption.test_writers import stale_value
from workers.encryption import FieldCipher
from workers.errors import PermanentError
from workers.keys.keyring import KeyRing
from workers.keys.states import State

ROWS = 40


class Application(RuleBasedStateMachine):
    """A table and what writes to it; what is left to say are its keys and its runs."""

    def __init__(self, ground: Ground) -> None:
        super().__init__()
        ground.clear()
        self.stage = Stage(ground)
        # Nothing is remembered, so that what one process knows is what all know.
        self.stage.keyring = KeyRing(ground.pool, self.stage.root_keys, max_age_seconds=0)
        self.stage.cipher = FieldCipher(self.stage.keyring, ground.pool, max_age_seconds=0)
        self.stage.tools = type(self.stage.tools)(
            keyring=self.stage.keyring,
            connections=self.stage.connections,
            ledger=ground.pool,
        )
        self.run_id: int | None = None
        self.open: tuple[Any, tuple[int], Any] | None = None
        self.next_key = ROWS + 1
        # What all values name once a run is through, as long as nobody bypasses the fence.
        self.settled: set[int | None] | None = None
        self.is_disturbed = False

    @initialize(encrypted=st.booleans(), elsewhere=st.booleans())
    def make_table(self, encrypted: bool, elsewhere: bool) -> None:
        self.holding = Holding(
            self.stage,
            columns={"card": "bytea", "name": "text"},
            connection_name="billing" if elsewhere else None,
        )
        self.holding.create(state="encrypted" if encrypted else "plaintext").fill_numbers(ROWS)

    # --------------------------------------------------------------------------------- writers

    def some_row(self, data: st.DataObject) -> tuple[int]:
        rows = sorted(self.holding.expected[self.stage.acme])
        if self.open is not None and self.open[1] in rows:
            rows.remove(self.open[1])  # somebody has it locked
        return data.draw(st.sampled_from(rows))

    def write(self, what: str, row: tuple[int]) -> None:
        if what == "insert":
            with self.stage.application(self.holding.conninfo) as connection:
                new = (self.new_key(),)
                values = {"card": b"inserted", "name": "eingefügt"}
                self.holding.write_rows(connection, {new: values})
            self.holding.expected[self.stage.acme][new] = values
        elif what == "update":
            self.holding.update(row, {"card": b"updated %d" % self.new_key()})
        elif what == "empty":
            self.holding.update(row, {"name": None})
        elif what == "delete":
            self.holding.delete(row)
        elif self.is_open(row):
            self.holding.move(row, (self.new_key(),))

    def new_key(self) -> int:
        self.next_key += 1
        return self.next_key

    def is_open(self, row: tuple[int]) -> bool:
        return not any(isinstance(v, PermanentError) for v in self.holding.opened()[row].values())

    WRITES = st.sampled_from(("insert", "update", "update", "empty", "delete", "move"))

    @rule(what=WRITES, data=st.data())
    def application_writes(self, what: str, data: st.DataObject) -> None:
        self.write(what, self.some_row(data))

    @precondition(lambda self: self.open is None)
    @rule(inserts=st.booleans(), rotates=st.booleans(), data=st.data())
    def application_begins_a_long_transaction(
        self, inserts: bool, rotates: bool, data: st.DataObject
    ) -> None:
        row = (self.new_key(),) if inserts else self.some_row(data)
        values = {"card": b"late", "name": "late"} if inserts else {"card": b"late"}
        connection = psycopg.connect(self.holding.conninfo)
        if inserts:
            self.holding.write_rows(connection, {row: values})
        else:
            with self.stage.cipher.writing(connection, organization_id=self.stage.acme) as writer:
                value = writer.encrypt(self.holding.field_name("card"), row=row, value=b"late")
            self.holding.store(connection, row, {"card": value})
        self.open = connection, row, values
        if rotates:
            self.key_rotates_and_values_follow()
            self.workers_do_all_jobs()

    @precondition(lambda self: self.open is not None)
    @rule(commits=st.booleans())
    def application_ends_its_long_transaction(self, commits: bool) -> None:
        assert self.open is not None
        connection, row, values = self.open
        self.open = None
        if commits:
            connection.commit()
            self.holding.expected[self.stage.acme].setdefault(row, {}).update(values)
        connection.close()

    @precondition(lambda self: self.holding.state() == "encrypted")
    @rule(data=st.data())
    def stale_process_writes_under_a_former_key(self, data: st.DataObject) -> None:
        row = self.some_row(data)
        former = [key.number for key in self.keys() if key.state is State.ARCHIVED]
        if former:
            self.disturb()
            value = stale_value(
                self.holding, row, b"stale", number=data.draw(st.sampled_from(former))
            )
            self.holding.spoil(row, value)
            self.holding.expected[self.stage.acme][row]["card"] = b"stale"

    # ------------------------------------------------------------------- what others are to say

    def keys(self) -> Any:
        """Return the master keys of the organization."""
        raise NotImplementedError

    def disturb(self) -> None:
        """Note that somebody bypasses the fence, or that values are closed."""
        raise NotImplementedError

    def key_rotates_and_values_follow(self) -> None:
        """Rotate, and begin a run."""
        raise NotImplementedError

    def workers_do_all_jobs(self) -> None:
        """Have the run come to its end."""
        raise NotImplementedError
