"""What a run would do, without doing any of it: nothing is written anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workers.database.pool import Connection
from workers.reencryption.control import choose_fields
from workers.reencryption.steps import make_plan
from workers.reencryption.store import Purpose
from workers.reencryption.tables import by_table
from workers.reencryption.tools import Tools
from workers.reencryption.verification import Findings, open_sample

SAMPLED_ROWS = 1_000
"""Of each table, so many rows are opened."""


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """A plan, and what would become of a sample of each field's values.

    ``quarantined`` counts those that would be left as they are, by class.
    """

    purpose: Purpose
    target_number: int | None
    plan: dict[str, Any]
    sampled: dict[str, int]
    quarantined: dict[str, dict[str, int]]


def try_run(
    connection: Connection,
    tools: Tools,
    *,
    organization_id: int,
    purpose: Purpose,
    field_names: Sequence[str],
) -> DryRun:
    """Plan a run and open a sample of what it would rewrite; every value is counted.

    Raises:
        KeywrightError: the run could not begin, but for another that is not finished.
    """
    fields = choose_fields(connection, organization_id, purpose, field_names)
    target = None
    if purpose != "decrypt":
        # Without a key yet, the run would begin by making the first.
        target = tools.keyring.active_number(organization_id) or 1
    plan = make_plan(tools, by_table(fields), organization_id, target)
    findings = Findings(organization_id=organization_id)
    open_sample(
        tools,
        fields,
        findings,
        takes_plaintext=purpose != "reencrypt",
        most_rows=SAMPLED_ROWS,
    )
    return DryRun(
        purpose=purpose,
        target_number=target,
        plan=plan,
        sampled=dict(findings.values),
        quarantined={name: dict(counted) for name, counted in findings.unopened.items()},
    )
