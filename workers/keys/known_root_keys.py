"""Noticing that the root key is another one than it was: before more is wrapped under it."""

from collections.abc import Collection

from workers.database.pool import Connection
from workers.keys.root_keys import RootKeys, UnknownRootKeyError


def wrapping_root_keys(connection: Connection) -> set[str]:
    """Return the root keys under which master keys are wrapped, whoever's they are."""
    # From one to the next in the index, however many wraps there are.
    rows = connection.execute(
        """
        WITH RECURSIVE each AS (
            SELECT min(root_key) AS root_key FROM keywright.master_key_wrap
            UNION ALL
            SELECT (SELECT min(root_key) FROM keywright.master_key_wrap AS next
                     WHERE next.root_key > each.root_key)
              FROM each WHERE each.root_key IS NOT NULL)
        SELECT root_key FROM each WHERE root_key IS NOT NULL
        """
    ).fetchall()
    return {row[0] for row in rows}


def check_known(root_keys: RootKeys, in_use: Collection[str]) -> None:
    """Refuse to begin with a second root key where the first was lost, or another was named.

    Raises:
        UnknownRootKeyError: there are master keys, and none that was wrapped under ours.
    """
    if in_use and not any(
        each.identifier in in_use for each in (root_keys.current, *root_keys.former)
    ):
        raise UnknownRootKeyError(
            f"All master keys are wrapped under {', '.join(sorted(in_use))}, and that is not the"
            f" root key in use here ({root_keys.current.identifier}); name it in"
            " KEYWRIGHT_ROOT_KEY, or in KEYWRIGHT_FORMER_ROOT_KEY if it is to give way."
        )
