"""Root keys in use, and retiring one: the wraps under it go, if every key has another.

Only this deletes a wrap of a master key that is not destroyed, or of a sealing key that opens.
"""

from dataclasses import dataclass

from workers.audit.recording import record
from workers.database.pool import Connection
from workers.errors import ConflictError, NotFoundError

_RETIRING_LOCK = 0x6B777272  # any number that nothing else locks: "kwrr"


@dataclass(frozen=True, kw_only=True)
class RootKeyInUse:
    """A root key with the number of keys that it wraps, and that no other wraps.

    Counted are master keys, and sealing keys with them.
    """

    identifier: str
    wraps: int
    only_here: int
    is_current: bool


def root_keys_in_use(connection: Connection, *, current: str) -> list[RootKeyInUse]:
    """Return the root keys that wrap something, and ``current``, an identifier, in any case."""
    rows = connection.execute(
        """
        WITH wrap AS (
            SELECT root_key, state <> 'destroyed'
                             AND count(*) OVER (PARTITION BY master_key_id) = 1 AS alone
              FROM keywright.master_key_wrap JOIN keywright.master_key USING (master_key_id)
            UNION ALL
            SELECT root_key, coalesce(opens_until > now(), true)
                             AND count(*) OVER (PARTITION BY sealing_key_id) = 1
              FROM keywright.sealing_key_wrap JOIN keywright.sealing_key USING (sealing_key_id)
        )
        SELECT root_key, count(alone), count(*) FILTER (WHERE alone)
          FROM (SELECT root_key, alone FROM wrap UNION ALL SELECT %(current)s, NULL) AS every_wrap
         GROUP BY root_key ORDER BY root_key
        """,
        {"current": current},
    ).fetchall()
    return [
        RootKeyInUse(
            identifier=row[0], wraps=row[1], only_here=row[2], is_current=row[0] == current
        )
        for row in rows
    ]


def retire_root_key(connection: Connection, identifier: str, *, current: str) -> int:
    """Delete all wraps under a root key, and return how many there were.

    Raises:
        ConflictError: it is ``current``, or a master key that is not destroyed, or a sealing key
            that still opens, would be left without a wrap. Nothing was deleted.
        NotFoundError: nothing is wrapped under it.
    """
    if identifier == current:
        raise ConflictError(
            f"{identifier} is the root key in use; name another in KEYWRIGHT_ROOT_KEY and this one"
            " in KEYWRIGHT_FORMER_ROOT_KEY, and `keywright key rewrap`, before you retire it."
        )
    with connection.transaction():
        # Two that are retired at once would each leave the keys to the other.
        connection.execute("SELECT pg_advisory_xact_lock(%(lock)s)", {"lock": _RETIRING_LOCK})
        row = connection.execute(
            """
            WITH needed AS (
                SELECT count(*) AS keys
                  FROM keywright.master_key_wrap AS wrap
                  JOIN keywright.master_key USING (master_key_id)
                 WHERE wrap.root_key = %(root_key)s AND state <> 'destroyed'
                   AND NOT EXISTS (SELECT FROM keywright.master_key_wrap AS another
                                    WHERE another.master_key_id = wrap.master_key_id
                                      AND another.root_key <> wrap.root_key)
            ), needed_to_open AS (
                SELECT count(*) AS keys
                  FROM keywright.sealing_key_wrap AS wrap
                  JOIN keywright.sealing_key USING (sealing_key_id)
                 WHERE wrap.root_key = %(root_key)s AND (opens_until > now()) IS NOT FALSE
                   AND NOT EXISTS (SELECT FROM keywright.sealing_key_wrap AS another
                                    WHERE another.sealing_key_id = wrap.sealing_key_id
                                      AND another.root_key <> wrap.root_key)
            ), may AS (
                SELECT needed.keys + needed_to_open.keys = 0 AS go FROM needed, needed_to_open
            ), gone AS (
                -- In the statement that counted: what is wrapped meanwhile stays.
                DELETE FROM keywright.master_key_wrap
                 WHERE root_key = %(root_key)s AND (SELECT go FROM may)
                RETURNING master_key_id
            ), gone_with_them AS (
                DELETE FROM keywright.sealing_key_wrap
                 WHERE root_key = %(root_key)s AND (SELECT go FROM may)
                RETURNING sealing_key_id
            )
            SELECT needed.keys, needed_to_open.keys,
                   (SELECT count(*) FROM gone) + (SELECT count(*) FROM gone_with_them)
              FROM needed, needed_to_open
            """,
            {"root_key": identifier},
        ).fetchone()
        assert row is not None
        needed, needed_to_open, gone = row
        if gone:
            record(
                connection,
                action="root_key.retire",
                object_name=f"root-key/{identifier}",
                organization_id=None,
                before={"wraps": gone},
            )
        if needed or needed_to_open:
            what = f"{needed} master keys" if needed else f"{needed_to_open} sealing keys"
            raise ConflictError(
                f"{what} are wrapped under {identifier} alone; `keywright key rewrap` first."
            )
    if not gone:
        raise NotFoundError(
            f"Nothing is wrapped under {identifier}; `keywright key root-keys` shows what is."
        )
    return int(gone)
