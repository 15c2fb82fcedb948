"""The rows of replacements and their steps: locked, read and written. SQL only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from workers.certificates.candidates import load_candidates
from workers.certificates.moving import lock_certificates_of, lock_usages
from workers.certificates.replacement.plan import Deadlines, Place, Standing, StepState
from workers.certificates.replacement.successor import Candidate
from workers.database.pool import Connection
from workers.errors import ConflictError, NotFoundError


@dataclass(frozen=True, kw_only=True)
class LockedReplacement:
    """A replacement with its places; nobody else changes any until the transaction ends.

    ``usages`` are the ids of those usages that were locked, by place.
    """

    replacement_id: int
    organization_id: int
    state: str
    old: Candidate
    new: Candidate
    standings: list[Standing]
    usages: Mapping[Place, int]


def lock_replacement(
    connection: Connection, organization_id: int, replacement_id: int
) -> LockedReplacement:
    """Lock a replacement, the usages of its places, and both certificates.

    Raises:
        NotFoundError: the organization has no such replacement.
    """
    row = connection.execute(
        """
        SELECT state::text, old_version_id, new_version_id
          FROM keywright.replacement
         WHERE organization_id = %(organization_id)s AND replacement_id = %(replacement_id)s
           FOR NO KEY UPDATE
        """,
        {"organization_id": organization_id, "replacement_id": replacement_id},
    ).fetchone()
    if row is None:
        raise NotFoundError(
            f"There is no replacement {replacement_id} in this organization; `keywright replacement"
            " list` shows them."
        )
    state, old_id, new_id = row
    usages = lock_usages(connection, organization_id=organization_id, version_ids=(old_id, new_id))
    lock_certificates_of(connection, (old_id, new_id))
    # What came to the two while we waited; not what somebody holds who waits for us.
    usages += lock_usages(
        connection,
        organization_id=organization_id,
        version_ids=(old_id, new_id),
        skip_locked=True,
    )
    # Only now: what waited for these locks has been committed, and what comes later waits for us.
    candidates = load_candidates(connection, (old_id, new_id))
    locked = {Place(each.place_kind, each.place): each.usage_id for each in usages}
    return LockedReplacement(
        replacement_id=replacement_id,
        organization_id=organization_id,
        state=state,
        old=candidates[old_id],
        new=candidates[new_id],
        standings=read_standings(connection, replacement_id),
        usages=locked,
    )


def read_standings(connection: Connection, replacement_id: int) -> list[Standing]:
    """Return where each place stands, by kind and name."""
    rows = connection.execute(
        """
        SELECT place_kind, place, state::text
          FROM keywright.replacement_progress
         WHERE replacement_id = %(replacement_id)s
         ORDER BY place_kind, place
        """,
        {"replacement_id": replacement_id},
    ).fetchall()
    return [Standing(Place(row[0], row[1]), row[2] and StepState(row[2])) for row in rows]


def find_in_the_way(connection: Connection, *, old_id: int, new_id: int | None) -> int | None:
    """Return the staged replacement of the one version by the other, if there is one.

    The caller has locked both certificates. ``new_id`` None: the new one is still to be made.

    Raises:
        ConflictError: a staged replacement of other versions would get into each other's way.
    """
    rows = connection.execute(
        """
        SELECT replacement_id, old_version_id, new_version_id
          FROM keywright.replacement
         WHERE state = 'staged'
           AND (old_version_id IN (%(old_id)s, %(new_id)s::bigint) OR new_version_id = %(old_id)s)
         ORDER BY replacement_id
        """,
        {"old_id": old_id, "new_id": new_id},
    ).fetchall()
    for replacement_id, found_old, found_new in rows:
        if (found_old, found_new) == (old_id, new_id):
            return int(replacement_id)
        role = "is being replaced" if found_old == old_id else "has a part"
        raise ConflictError(
            f"One of the two certificates {role} in replacement {replacement_id}, which is not"
            " over; finish it or roll it back first."
        )
    return None


def insert_replacement(
    connection: Connection,
    *,
    organization_id: int,
    old_id: int,
    new_id: int,
    by: Deadlines,
    requested_by: str,
    reason: str,
    now: datetime,
) -> int:
    """Insert a replacement with a step for each place of the old version; return its id."""
    row = connection.execute(
        """
        WITH started AS (
            INSERT INTO keywright.replacement
                   (organization_id, old_version_id, new_version_id, requested_by, reason,
                    overlap_by, switch_by, retire_by, started_at)
            VALUES (%(organization_id)s, %(old_id)s, %(new_id)s, %(requested_by)s, %(reason)s,
                    %(overlap_by)s, %(switch_by)s, %(retire_by)s, %(now)s)
            RETURNING replacement_id
        ), step AS (
            INSERT INTO keywright.replacement_step
                   (replacement_id, place_kind, place, overlap_by, switch_by, retire_by,
                    changed_by, changed_at)
            SELECT replacement_id, place_kind, place, %(overlap_by)s, %(switch_by)s, %(retire_by)s,
                   %(requested_by)s, %(now)s
              FROM started, keywright.usage
             WHERE usage.version_id = %(old_id)s
        )
        SELECT replacement_id FROM started
        """,
        {
            "organization_id": organization_id,
            "old_id": old_id,
            "new_id": new_id,
            "requested_by": requested_by,
            "reason": reason,
            "overlap_by": by.overlap_by,
            "switch_by": by.switch_by,
            "retire_by": by.retire_by,
            "now": now,
        },
    ).fetchone()
    assert row is not None
    return int(row[0])


def record_steps(
    connection: Connection,
    replacement_id: int,
    states: Mapping[Place, StepState],
    *,
    actor: str,
    now: datetime,
) -> None:
    """Record how far places have come; what is overdue by then is announced anew."""
    connection.execute(
        """
        INSERT INTO keywright.replacement_step
               (replacement_id, place_kind, place, state, overlap_by, switch_by, retire_by,
                changed_by, changed_at)
        SELECT replacement_id, place_kind, place, moved.state, overlap_by, switch_by, retire_by,
               %(actor)s, %(now)s
          FROM unnest(%(kinds)s::text[], %(places)s::text[],
                      %(states)s::keywright.replacement_step_state[])
               AS moved (place_kind, place, state)
          JOIN keywright.replacement_progress AS progress USING (place_kind, place)
         WHERE replacement_id = %(replacement_id)s
            ON CONFLICT (replacement_id, place_kind, place) DO UPDATE
           SET state = excluded.state, changed_by = excluded.changed_by,
               changed_at = excluded.changed_at, overdue_told_for = NULL
        """,
        {
            "replacement_id": replacement_id,
            "kinds": [place.kind for place in states],
            "places": [place.name for place in states],
            "states": [state.value for state in states.values()],
            "actor": actor,
            "now": now,
        },
    )


def end_replacement(
    connection: Connection, replacement_id: int, *, state: str, actor: str, now: datetime
) -> None:
    """Record that a replacement is over: ``completed`` or ``rolled_back``.

    Places that have left it had no part in that.
    """
    connection.execute(
        """
        DELETE FROM keywright.replacement_step AS step
         USING keywright.replacement_progress AS progress
         WHERE step.replacement_id = %(replacement_id)s
           AND progress.replacement_id = step.replacement_id
           AND progress.place_kind = step.place_kind AND progress.place = step.place
           AND progress.state IS NULL
        """,
        {"replacement_id": replacement_id},
    )
    connection.execute(
        """
        UPDATE keywright.replacement
           SET state = %(state)s, finished_at = %(now)s, finished_by = %(actor)s
         WHERE replacement_id = %(replacement_id)s
        """,
        {"replacement_id": replacement_id, "state": state, "actor": actor, "now": now},
    )


def mark_as_replaced(connection: Connection, version_id: int, *, now: datetime) -> None:
    """Let a version count as replaced: it warns on as long as a place has it."""
    connection.execute(
        """
        UPDATE keywright.certificate_version SET replaced_at = coalesce(replaced_at, %(now)s)
         WHERE version_id = %(version_id)s
        """,
        {"version_id": version_id, "now": now},
    )


def mark_as_not_replaced(connection: Connection, version_id: int) -> None:
    """Take that back, unless a newer version of its certificate is there."""
    connection.execute(
        """
        UPDATE keywright.certificate_version AS version SET replaced_at = NULL
         WHERE version_id = %(version_id)s
           AND NOT EXISTS (SELECT FROM keywright.certificate_version AS newer
                            WHERE newer.certificate_id = version.certificate_id
                              AND newer.version_number > version.version_number
                              AND newer.not_after IS NOT NULL)
        """,
        {"version_id": version_id},
    )
