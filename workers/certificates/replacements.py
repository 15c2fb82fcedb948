"""Replacements as people look at them: which there are, how far each is, what is late. SQL only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from workers.certificates.replacement.plan import Deadlines, Place
from workers.certificates.replacement_rows import lock_replacement
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError, NotFoundError

MAX_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class ReplacementRow:
    """A replacement with how many of its places stand where; ``next_due_at`` is the next deadline.

    ``overdue`` counts the places whose next step is late.
    """

    replacement_id: int
    organization: str
    state: str
    old_name: str
    old_version: int
    old_not_after: datetime | None
    new_name: str
    new_version: int
    new_not_after: datetime | None
    waiting: int
    overlapping: int
    switched: int
    retired: int
    overdue: int
    next_due_at: datetime | None
    requested_by: str
    reason: str
    started_at: datetime
    finished_at: datetime | None
    finished_by: str | None


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """A place's part; ``state`` ``left``: it has neither certificate any more.

    ``due_at`` is the deadline of its next step, None where nothing is left to do.
    """

    place_kind: str
    place: str
    state: str
    overlap_by: datetime
    switch_by: datetime
    retire_by: datetime
    due_at: datetime | None
    is_overdue: bool
    changed_by: str | None
    changed_at: datetime | None


def list_replacements(
    connection: Connection,
    *,
    now: datetime,
    organization_id: int | None = None,
    replacement_id: int | None = None,
    only_staged: bool = False,
    only_overdue: bool = False,
    limit: int = 100,
) -> list[ReplacementRow]:
    """Return up to ``limit`` replacements: those under way by their next deadline, then the rest.

    Raises:
        InvalidRequestError: ``limit`` is out of range.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequestError(f"limit: 1 to {MAX_PAGE} rows.")
    with connection.cursor(row_factory=class_row(ReplacementRow)) as cursor:
        return cursor.execute(
            """
            SELECT replacement_id, organization.name AS organization, replacement.state::text,
                   old.unique_name AS old_name, old_version.version_number AS old_version,
                   old_version.not_after AS old_not_after,
                   new.unique_name AS new_name, new_version.version_number AS new_version,
                   new_version.not_after AS new_not_after,
                   progress.waiting, progress.overlapping, progress.switched, progress.retired,
                   progress.overdue, progress.next_due_at, requested_by, reason, started_at,
                   finished_at, finished_by
              FROM keywright.replacement
              JOIN keywright.organization USING (organization_id)
              JOIN keywright.certificate_version AS old_version
                ON old_version.version_id = old_version_id
              JOIN keywright.certificate AS old ON old.certificate_id = old_version.certificate_id
              JOIN keywright.certificate_version AS new_version
                ON new_version.version_id = new_version_id
              JOIN keywright.certificate AS new ON new.certificate_id = new_version.certificate_id
             CROSS JOIN LATERAL (
                   SELECT count(*) FILTER (WHERE progress.state = 'waiting') AS waiting,
                          count(*) FILTER (WHERE progress.state = 'overlapping') AS overlapping,
                          count(*) FILTER (WHERE progress.state = 'switched') AS switched,
                          count(*) FILTER (WHERE progress.state = 'retired') AS retired,
                          count(*) FILTER (WHERE due_at < %(now)s
                                             AND replacement.state = 'staged') AS overdue,
                          min(due_at) FILTER (WHERE replacement.state = 'staged') AS next_due_at
                     FROM keywright.replacement_progress AS progress
                    WHERE progress.replacement_id = replacement.replacement_id) AS progress
             WHERE (%(organization_id)s::bigint IS NULL
                    OR replacement.organization_id = %(organization_id)s)
               AND (%(replacement_id)s::bigint IS NULL OR replacement_id = %(replacement_id)s)
               AND (NOT %(only_staged)s OR replacement.state = 'staged')
               AND (NOT %(only_overdue)s OR progress.overdue > 0)
             ORDER BY replacement.state <> 'staged', next_due_at, replacement_id DESC
             LIMIT %(limit)s
            """,
            {
                "now": now,
                "organization_id": organization_id,
                "replacement_id": replacement_id,
                "only_staged": only_staged or only_overdue,
                "only_overdue": only_overdue,
                "limit": limit,
            },
        ).fetchall()


def show_replacement(
    connection: Connection, *, organization_id: int, replacement_id: int, now: datetime
) -> tuple[ReplacementRow, list[StepRow]]:
    """Return a replacement with each of its places.

    Raises:
        NotFoundError: the organization has no such replacement.
    """
    rows = list_replacements(
        connection, organization_id=organization_id, replacement_id=replacement_id, now=now
    )
    if not rows:
        raise NotFoundError(
            f"There is no replacement {replacement_id} in this organization; `keywright replacement"
            " list` shows them."
        )
    with connection.cursor(row_factory=class_row(StepRow)) as cursor:
        steps = cursor.execute(
            """
            SELECT place_kind, place, coalesce(progress.state::text, 'left') AS state,
                   progress.overlap_by, progress.switch_by, progress.retire_by,
                   CASE WHEN replacement.state = 'staged' THEN due_at END AS due_at,
                   replacement.state = 'staged' AND coalesce(due_at < %(now)s, false) AS is_overdue,
                   changed_by, changed_at
              FROM keywright.replacement_progress AS progress
              JOIN keywright.replacement USING (replacement_id)
             WHERE replacement_id = %(replacement_id)s
             ORDER BY place_kind, place
            """,
            {"replacement_id": replacement_id, "now": now},
        ).fetchall()
    return rows[0], steps


def reschedule(
    connection: Connection,
    *,
    organization_id: int,
    replacement_id: int,
    places: Sequence[Place],
    by: Deadlines,
    actor: str,
    now: datetime,
) -> int:
    """Give places deadlines of their own; without ``places``, all, and those that come later.

    Returns how many places that were.

    Raises:
        NotFoundError: there is no such replacement, or a place has no part in it.
        ConflictError: the replacement is over.
    """
    values = {
        "replacement_id": replacement_id,
        "overlap_by": by.overlap_by,
        "switch_by": by.switch_by,
        "retire_by": by.retire_by,
        "kinds": [place.kind for place in places],
        "names": [place.name for place in places],
        "actor": actor,
        "now": now,
    }
    with connection.transaction():
        locked = lock_replacement(connection, organization_id, replacement_id)
        if locked.state != "staged":
            raise ConflictError(f"Replacement {replacement_id} is over; nothing is due any more.")
        known = {each.place for each in locked.standings if each.state is not None}
        unknown = [place for place in places if place not in known]
        if unknown:
            raise NotFoundError(f"{unknown[0]} has no part in replacement {replacement_id}.")
        if not places:
            connection.execute(
                """
                UPDATE keywright.replacement
                   SET overlap_by = %(overlap_by)s, switch_by = %(switch_by)s,
                       retire_by = %(retire_by)s
                 WHERE replacement_id = %(replacement_id)s
                """,
                values,
            )
        return connection.execute(
            """
            INSERT INTO keywright.replacement_step
                   (replacement_id, place_kind, place, state, overlap_by, switch_by, retire_by,
                    changed_by, changed_at)
            SELECT replacement_id, place_kind, place, progress.state, %(overlap_by)s,
                   %(switch_by)s, %(retire_by)s, %(actor)s, %(now)s
              FROM keywright.replacement_progress AS progress
             WHERE replacement_id = %(replacement_id)s AND progress.state IS NOT NULL
               AND (cardinality(%(kinds)s::text[]) = 0
                    OR (place_kind, place) IN (SELECT * FROM unnest(%(kinds)s::text[],
                                                                    %(names)s::text[])))
                ON CONFLICT (replacement_id, place_kind, place) DO UPDATE
               SET overlap_by = excluded.overlap_by, switch_by = excluded.switch_by,
                   retire_by = excluded.retire_by, overdue_told_for = NULL
            """,
            values,
        ).rowcount


def announce_overdue(connection: Connection, *, now: datetime, limit: int = MAX_PAGE) -> int:
    """Announce each place whose next step is late, once per step; return how many that were.

    For the daily review; a second one at the same time announces nothing twice. What is beyond
    ``limit``, the next one finds.
    """
    return connection.execute(
        """
        WITH late AS (
            INSERT INTO keywright.replacement_step
                   (replacement_id, place_kind, place, state, overlap_by, switch_by, retire_by,
                    changed_by, changed_at, overdue_told_for)
            SELECT replacement_id, place_kind, place, progress.state, progress.overlap_by,
                   progress.switch_by, progress.retire_by, coalesce(changed_by, 'review'),
                   coalesce(changed_at, %(now)s), due_at
              FROM keywright.replacement_progress AS progress
              JOIN keywright.replacement USING (replacement_id)
             WHERE replacement.state = 'staged' AND due_at < %(now)s
               AND overdue_told_for IS DISTINCT FROM due_at
             ORDER BY replacement_id, place_kind, place
             LIMIT %(limit)s
                ON CONFLICT (replacement_id, place_kind, place) DO UPDATE
               SET overdue_told_for = excluded.overdue_told_for
             -- Somebody else may have announced it meanwhile.
             WHERE replacement_step.overdue_told_for IS DISTINCT FROM excluded.overdue_told_for
            RETURNING replacement_id, place_kind, place
        )
        INSERT INTO keywright.announcement (kind, organization_id, subject, data)
        SELECT 'certificate.replacement_overdue', organization_id, 'replacement/' || replacement_id,
               jsonb_build_object('place_kind', place_kind, 'place', place,
                                  'state', progress.state, 'due_at', due_at)
          FROM late
          JOIN keywright.replacement_progress AS progress
         USING (replacement_id, place_kind, place)
        """,
        {"now": now, "limit": limit},
    ).rowcount
