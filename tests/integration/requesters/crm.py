"""Another system that asks for jobs in SQL, and the owner who looks at what came of it."""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from workers.database.pool import Connection

ASK = "SELECT keywright.enqueue(%s, %s, %s, %s, %s)"


@dataclass
class Crm:
    """``own`` is the requester's connection, ``owner`` that of keywright's owner."""

    own: Connection
    owner: Connection
    login: str
    role: str

    def ask(
        self,
        kind: str = "system.ping",
        arguments: Any = None,
        organization: str | None = "Acme",
        unique_key: str | None = None,
        run_at: object = None,
    ) -> int:
        """Ask for a job and return its number."""
        row = self.own.execute(
            ASK, [kind, Jsonb(arguments or {}), organization, unique_key, run_at]
        ).fetchone()
        assert row is not None
        return int(row[0])

    def refusal(self, *arguments: Any, **named: Any) -> tuple[str, str]:
        """Ask for what must be refused; return SQLSTATE and sentence."""
        try:
            self.ask(*arguments, **named)
        except psycopg.DatabaseError as error:
            return str(error.sqlstate), str(error.diag.message_primary)
        raise AssertionError("it was not refused")

    def jobs(self) -> int:
        """Return how many jobs there are."""
        row = self.owner.execute("SELECT count(*) FROM keywright.job").fetchone()
        assert row is not None
        return int(row[0])

    def one(self, query: str, *parameters: Any) -> Any:
        """Return the only value of the only row of a query of the owner's."""
        row = self.owner.execute(query, parameters).fetchone()
        assert row is not None
        return row[0]
