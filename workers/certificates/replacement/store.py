"""Starting replacements. SQL only.

Locks are taken in the order replacement, usage, certificate, version. What is read after that is
what holds at commit, also when two people act at once or usages come and go meanwhile: a place that
comes later waits, and one that left has no part any more.
"""

from dataclasses import dataclass
from datetime import datetime

from workers.certificates.candidates import find_outgoing, find_successor, load_candidates
from workers.certificates.moving import lock_certificates_of
from workers.certificates.replacement.plan import VersionRef, deadlines
from workers.certificates.replacement.successor import check_successor
from workers.certificates.replacement.telling import named, tell
from workers.certificates.replacement_rows import (
    find_in_the_way,
    insert_replacement,
    mark_as_replaced,
)
from workers.certificates.silencing import silence_replaced_versions
from workers.contract.announcements import ReplacementStarted
from workers.database.pool import Connection
from workers.errors import NotFoundError


@dataclass(frozen=True, kw_only=True)
class Started:
    """A replacement; ``created`` False: the very same had been started before."""

    replacement_id: int
    old: VersionRef
    new: VersionRef
    created: bool
    places: int
    remarks: tuple[str, ...]


def start_replacement(
    connection: Connection,
    *,
    organization_id: int,
    old: VersionRef,
    new: VersionRef,
    switch_by: datetime | None,
    requested_by: str,
    reason: str,
    now: datetime,
) -> int:
    """Start a replacement with the usual deadlines around ``switch_by``; return its id.

    Raises:
        NotFoundError, InvalidRequestError, ConflictError: as ``start``.
    """
    return start(
        connection,
        organization_id=organization_id,
        old=old,
        new=new,
        switch_by=switch_by,
        requested_by=requested_by,
        reason=reason,
        now=now,
    ).replacement_id


def start(
    connection: Connection,
    *,
    organization_id: int,
    old: VersionRef,
    new: VersionRef,
    requested_by: str,
    reason: str,
    now: datetime,
    overlap_by: datetime | None = None,
    switch_by: datetime | None = None,
    retire_by: datetime | None = None,
) -> Started:
    """Stage the replacement of one version by another; every place of the old one waits.

    The old one counts as replaced, and warns on as long as a place has it. Asked for again, the
    same replacement is found, as it is.

    Raises:
        NotFoundError: there is no such certificate or version.
        InvalidRequestError: a deadline makes no sense, or several versions are in use.
        ConflictError: the new one cannot take over, or another replacement is in the way.
    """
    with connection.transaction():
        new_id = find_successor(connection, organization_id, new)
        old_id = find_outgoing(connection, organization_id, old, successor=new_id)
        lock_certificates_of(connection, [old_id, new_id])
        candidates = load_candidates(connection, [old_id, new_id])
        outgoing, successor = candidates[old_id], candidates[new_id]
        if outgoing.is_deleted or successor.is_deleted:
            raise NotFoundError("The certificate was deleted meanwhile. Nothing was changed.")
        kinds = [
            row[0]
            for row in connection.execute(
                "SELECT place_kind FROM keywright.usage WHERE version_id = %(old_id)s",
                {"old_id": old_id},
            ).fetchall()
        ]
        remarks = check_successor(outgoing, successor, now=now, place_kinds=frozenset(kinds))
        by = deadlines(
            now=now,
            not_after=outgoing.not_after or now,
            overlap_by=overlap_by,
            switch_by=switch_by,
            retire_by=retire_by,
        )
        found = find_in_the_way(connection, old_id=old_id, new_id=new_id)
        replacement_id = found or insert_replacement(
            connection,
            organization_id=organization_id,
            old_id=old_id,
            new_id=new_id,
            by=by,
            requested_by=requested_by,
            reason=reason,
            now=now,
        )
        if found is None:
            mark_as_replaced(connection, old_id, now=now)
            silence_replaced_versions(connection, outgoing.certificate_id)
            tell(
                connection,
                ReplacementStarted(
                    old=named(outgoing.ref),
                    new=named(successor.ref),
                    places=len(kinds),
                    switch_by=by.switch_by,
                    actor=requested_by,
                ),
                organization_id=organization_id,
                replacement_id=replacement_id,
            )
    return Started(
        replacement_id=replacement_id,
        old=outgoing.ref,
        new=successor.ref,
        created=found is None,
        places=len(kinds),
        remarks=remarks,
    )
