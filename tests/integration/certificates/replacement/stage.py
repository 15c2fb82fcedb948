"""A certificate in use, its successor, and the replacement of the one by the other."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.integration.certificates.inventory import Inventory, inventory
from tests.integration.notifications.household import DAY, NOON
from tests.unit.certificates.certificate_maker import make_found
from workers.certificates.replacement.moves import Moved, advance, finish, roll_back
from workers.certificates.replacement.plan import Place, StepState, VersionRef
from workers.certificates.replacement.store import Started, start
from workers.certificates.replacements import ReplacementRow, StepRow, show_replacement
from workers.certificates.store import save_imported
from workers.certificates.usages import list_usages
from workers.database.pool import Connection

ADA = "test:ada"


@dataclass
class Stage(Inventory):
    """``old`` ends in 90 days and is used in places; ``new`` lives for a year from now."""

    replacement_id: int = 0

    @classmethod
    def of(cls, connection: Connection, *places: str, name: str = "Acme") -> "Stage":
        """Add an organization with both certificates, and usages of the old one."""
        stage = cls(connection, inventory(connection, name).household)
        stage.keep("old")
        stage.keep_successor("new")
        for place in places:
            stage.use("old", place)
        return stage

    def keep_successor(self, name: str, *, number: int = 7, days: int = 365) -> int:
        """Import a certificate that lives so long from now."""
        saved = save_imported(
            self.connection,
            organization_id=self.organization_id,
            found=[
                make_found(name, number=number, not_before=NOON - DAY, not_after=NOON + days * DAY)
            ],
            now=NOON,
        )
        return saved.imported[0].version_id

    def start(
        self, old: str | VersionRef = "old", new: str | VersionRef = "new", **options: Any
    ) -> Started:
        """Start a replacement, by default of ``old`` by ``new``; the steps below are of that."""
        started = start(
            self.connection,
            organization_id=self.organization_id,
            old=old if isinstance(old, VersionRef) else VersionRef(unique_name=old),
            new=new if isinstance(new, VersionRef) else VersionRef(unique_name=new),
            **{"requested_by": ADA, "reason": "a test", "now": NOON, **options},
        )
        self.replacement_id = started.replacement_id
        return started

    def step(self, to: str, *places: str, now: datetime = NOON, **options: Any) -> Moved:
        """Let places take a step."""
        return advance(
            self.connection,
            organization_id=self.organization_id,
            replacement_id=self.replacement_id,
            to=StepState(to),
            places=[Place("api_client", place) for place in places],
            actor=ADA,
            now=now,
            **options,
        )

    def switch(self, *places: str) -> None:
        """Let places accept both, and then use the new one."""
        self.step("overlapping", *places)
        self.step("switched", *places)

    def back(self, *places: str, now: datetime = NOON) -> Moved:
        """Let places go back, or all."""
        return roll_back(
            self.connection,
            organization_id=self.organization_id,
            replacement_id=self.replacement_id,
            places=[Place("api_client", place) for place in places],
            actor=ADA,
            now=now,
        )

    def finish(self) -> Moved:
        """Finish it."""
        return finish(
            self.connection,
            organization_id=self.organization_id,
            replacement_id=self.replacement_id,
            actor=ADA,
            now=NOON,
        )

    def shown(self, now: datetime = NOON) -> tuple[ReplacementRow, list[StepRow]]:
        """Return what people see of it."""
        return show_replacement(
            self.connection,
            organization_id=self.organization_id,
            replacement_id=self.replacement_id,
            now=now,
        )

    def steps(self) -> dict[str, str]:
        """Return the state of each place."""
        return {step.place: step.state for step in self.shown()[1]}

    def used(self) -> dict[str, str]:
        """Return the certificate that each place uses."""
        usages = list_usages(self.connection, organization_id=self.organization_id)
        return {each.place: each.unique_name for each in usages}

    def announced(self, kind: str = "certificate.%") -> list[tuple[str, dict[str, Any]]]:
        """Return what was announced."""
        return self.connection.execute(
            "SELECT kind, data FROM keywright.announcement WHERE kind LIKE %s"
            " ORDER BY announcement_id",
            [kind],
        ).fetchall()
