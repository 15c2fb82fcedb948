"""Recording what changes no row, such as a key that leaves. SQL only.

All else the database records by itself.
"""

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from workers.database.pool import Connection


def record(
    connection: Connection,
    *,
    action: str,
    object_name: str,
    organization_id: int | None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    """Record that something was done, in the transaction at hand; who acts is known to that.

    ``action`` is noun and verb (``master_key.export``), ``object_name`` what it was done to
    (``master-key/1/7``), ``before`` and ``after`` ids, names and dates, never a secret.
    """
    connection.execute(
        "SELECT keywright.audit(%(action)s, %(object)s, %(organization_id)s, %(before)s, %(after)s,"
        " %(reason)s)",
        {
            "action": action,
            "object": object_name,
            "organization_id": organization_id,
            "before": None if before is None else Jsonb(dict(before)),
            "after": None if after is None else Jsonb(dict(after)),
            "reason": reason,
        },
    )
