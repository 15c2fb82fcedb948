"""Another wrap for every master key, under the root key in use; the older wraps stay.

So there is no instant at which a key cannot be read: a process that knows the former root key alone
reads all keys as before, and one that knows the new root key reads those that have a wrap under it.
Taking the older wraps away is a decision of its own, in ``retiring``.

A key that is destroyed meanwhile gets no wrap: the statement that inserts locks its row and looks
at it. Whoever destroys one must have locked that row in an earlier statement than the one that
deletes its wraps, or the deletion may not see a wrap that was added while it waited.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TypeAlias

from workers.database.pool import Connection
from workers.errors import PermanentError
from workers.keys.root_keys import (
    RootKeys,
    RootKeyUnavailableError,
    UnknownRootKeyError,
    WrappedKeyError,
)
from workers.keys.root_keys.patience import asked_once
from workers.keys.states import State
from workers.keys.store import StoredKey, load_key
from workers.keys.unwrapping import unwrap_key, unwrap_under, wrap_key

_NAMED_AT_MOST = 5

Step: TypeAlias = Callable[[], AbstractContextManager[Connection]]
"""Gives a connection with a transaction of its own, committed at the end: ``job.checkpoint``."""


class KeysLeftBehindError(PermanentError):
    """Some master keys got no wrap under the root key in use; all others did."""

    code = "keys-left-behind"
    title = "Some master keys cannot be re-wrapped"


@dataclass(frozen=True, kw_only=True)
class LeftKey:
    """A master key that could not be unwrapped here, with the root keys it is wrapped under."""

    organization_id: int
    number: int
    root_keys: tuple[str, ...]
    reason: str
    may_work_later: bool


@dataclass(kw_only=True)
class Rewrapping:
    """What came of it."""

    wrapped: int = 0
    left: list[LeftKey] = field(default_factory=list)

    def check_complete(self) -> None:
        """Return if every key has a wrap under the root key in use.

        Raises:
            RootKeyUnavailableError: some have not, and another try may help.
            KeysLeftBehindError: some have not, and something must be seen to first.
        """
        if not self.left:
            return
        named = "; ".join(
            f"key {each.number} of organization {each.organization_id}"
            f" (under {', '.join(each.root_keys) or 'no root key'})"
            for each in self.left[:_NAMED_AT_MOST]
        )
        more = len(self.left) - _NAMED_AT_MOST
        text = f"{len(self.left)} master keys could not be re-wrapped: {named}"
        text += f"; and {more} more" if more > 0 else ""
        if any(each.may_work_later for each in self.left):
            raise RootKeyUnavailableError(f"{text}; their root key is not available right now.")
        raise KeysLeftBehindError(
            f"{text}; name their root key in KEYWRIGHT_FORMER_ROOT_KEY, or restore what is damaged."
        )


@dataclass(frozen=True)
class _Due:
    """A key that lacks a wrap under the root key in use."""

    master_key_id: int
    stored: StoredKey


def rewrap_some(connection: Connection, root_keys: RootKeys, *, limit: int) -> int:
    """Add a wrap under ``root_keys.current`` for at most ``limit`` keys that lack one.

    Returns how many were added; 0 means that nothing is left to do here. On an autocommit
    connection no lock is held while a root key works.

    Raises:
        RootKeyUnavailableError: ``root_keys.current`` does not do it right now.
    """
    current = root_keys.current.identifier
    former_once = asked_once(root_keys)
    done = Rewrapping()
    _, last = _survey(connection, current)
    after = 0
    while done.wrapped < limit:
        due = _due_keys(connection, current, after, last, limit - done.wrapped)
        if not due:
            break
        after = due[-1].master_key_id
        made = _wrap_all(due, former_once, done, lambda: None)
        locked = _add(connection, current, made, done, wait=False)
        for one in locked:
            _add(connection, current, [one], done, wait=True)
    return done.wrapped


def rewrap_all(
    step: Step,
    root_keys: RootKeys,
    *,
    report: Callable[[int, int], None],
    stop_if_asked: Callable[[], None],
    batch: int = 50,
) -> Rewrapping:
    """Add a wrap under ``root_keys.current`` for every key that lacks one now, in batches.

    ``report(done, total)`` is called after each batch, ``stop_if_asked()`` before each key; what
    they raise ends it, and what was committed stays. Keys that cannot be unwrapped here do not stop
    the rest and are in the result. It may be stopped anywhere and run again, also twice at once.

    Raises:
        RootKeyUnavailableError: ``root_keys.current`` does not do it right now.
    """
    current = root_keys.current.identifier
    former_once = asked_once(root_keys)
    with step() as connection:
        total, last = _survey(connection, current)
    done = Rewrapping()
    after = 0
    while True:
        stop_if_asked()
        with step() as connection:
            due = _due_keys(connection, current, after, last, batch)
        if not due:
            return done
        after = due[-1].master_key_id
        made = _wrap_all(due, former_once, done, stop_if_asked)
        with step() as connection:
            locked = _add(connection, current, made, done, wait=False)
        for one in locked:
            # Alone in its transaction, so that waiting for one row never holds another.
            with step() as connection:
                _add(connection, current, [one], done, wait=True)
        seen = done.wrapped + len(done.left)
        report(seen, max(total, seen))


def _wrap_all(
    due: Sequence[_Due], root_keys: RootKeys, done: Rewrapping, stop_if_asked: Callable[[], None]
) -> list[tuple[int, bytes]]:
    """Return the new wraps by master key; no transaction is open meanwhile."""
    made = []
    for each in due:
        stop_if_asked()
        stored = each.stored
        if stored.state is State.DESTROYED:
            continue  # since it was found
        try:
            key = unwrap_key(root_keys, stored)
        except (UnknownRootKeyError, WrappedKeyError, RootKeyUnavailableError) as error:
            done.left.append(
                LeftKey(
                    organization_id=stored.organization_id,
                    number=stored.number,
                    root_keys=tuple(wrap.root_key for wrap in stored.wraps),
                    reason=str(error),
                    may_work_later=isinstance(error, RootKeyUnavailableError),
                )
            )
            continue
        place = {"organization_id": stored.organization_id, "number": stored.number}
        wrapped = wrap_key(root_keys.current, key, **place)
        unwrap_under(root_keys.current, wrapped, stored)  # the proof: what we keep does open
        made.append((each.master_key_id, wrapped))
    return made


def _survey(connection: Connection, root_key: str) -> tuple[int, int]:
    """Return how many keys lack a wrap, and the id of the last: a run has an end in any case.

    A process that was not told of the new root key yet may go on making keys under the old one.
    """
    row = connection.execute(
        """
        SELECT count(*), coalesce(max(master_key_id), 0) FROM keywright.master_key
         WHERE state <> 'destroyed'
           AND NOT EXISTS (SELECT FROM keywright.master_key_wrap
                            WHERE master_key_wrap.master_key_id = master_key.master_key_id
                              AND root_key = %(root_key)s)
        """,
        {"root_key": root_key},
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _due_keys(
    connection: Connection, root_key: str, after: int, last: int, limit: int
) -> list[_Due]:
    """Return the next keys in the order of their ids that lack a wrap under ``root_key``."""
    rows = connection.execute(
        """
        SELECT master_key_id, organization_id, key_number FROM keywright.master_key
         WHERE master_key_id > %(after)s AND master_key_id <= %(last)s AND state <> 'destroyed'
           AND NOT EXISTS (SELECT FROM keywright.master_key_wrap
                            WHERE master_key_wrap.master_key_id = master_key.master_key_id
                              AND root_key = %(root_key)s)
         ORDER BY master_key_id LIMIT %(limit)s
        """,
        {"root_key": root_key, "after": after, "last": last, "limit": limit},
    ).fetchall()
    due = []
    for master_key_id, organization_id, number in rows:
        stored = load_key(connection, organization_id, number)
        assert stored is not None  # no key is ever deleted
        due.append(_Due(master_key_id, stored))
    return due


def _add(
    connection: Connection,
    root_key: str,
    made: Sequence[tuple[int, bytes]],
    done: Rewrapping,
    *,
    wait: bool,
) -> list[tuple[int, bytes]]:
    """Insert wraps, count them, and return those whose master key somebody else has locked.

    With ``wait`` there are none of these; without, no lock on a master key is waited for, so that
    whoever locks several of them is never in our way crosswise.
    """
    rows = connection.execute(
        f"""
        WITH made AS MATERIALIZED (
            SELECT master_key_id, wrapped_key
              FROM unnest(%(master_key_ids)s::bigint[], %(wrapped_keys)s::bytea[])
                   AS given (master_key_id, wrapped_key)
        ), kept AS MATERIALIZED (
            -- Looked at again once the lock is there: who waited sees a destruction.
            SELECT master_key.master_key_id, master_key.state
              FROM keywright.master_key JOIN made USING (master_key_id)
             ORDER BY master_key.master_key_id
               FOR SHARE OF master_key {"" if wait else "SKIP LOCKED"}
        ), added AS (
            INSERT INTO keywright.master_key_wrap (master_key_id, root_key, wrapped_key)
            SELECT master_key_id, %(root_key)s, wrapped_key
              FROM kept JOIN made USING (master_key_id)
             WHERE state <> 'destroyed'
             ORDER BY master_key_id
                ON CONFLICT (master_key_id, root_key) DO NOTHING
            RETURNING master_key_id
        )
        SELECT master_key_id, EXISTS (SELECT FROM added
                                       WHERE added.master_key_id = kept.master_key_id)
          FROM kept
        """,
        {
            "master_key_ids": [master_key_id for master_key_id, _ in made],
            "wrapped_keys": [wrapped_key for _, wrapped_key in made],
            "root_key": root_key,
        },
    ).fetchall()
    done.wrapped += sum(added for _, added in rows)
    settled = {master_key_id for master_key_id, _ in rows}
    return [each for each in made if each[0] not in settled]
