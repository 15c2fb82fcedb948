"""Moving the places of a replacement on and back, until it is over."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from workers.certificates.moving import move_usages
from workers.certificates.replacement.plan import (
    Decision,
    Place,
    StepState,
    check_may_finish,
    is_over,
    moves_all_back,
    moves_back,
    moves_on,
    state_before,
    uses_new,
)
from workers.certificates.replacement.successor import (
    RETIRED_DEFAULT,
    SAML_PLACE,
    Candidate,
    reason_against_use,
)
from workers.certificates.replacement.telling import named, tell, tell_moves
from workers.certificates.replacement_rows import (
    LockedReplacement,
    end_replacement,
    lock_replacement,
    mark_as_not_replaced,
    read_standings,
    record_steps,
)
from workers.certificates.silencing import silence_replaced_versions
from workers.certificates.versions import schedule_notices
from workers.contract.announcements import CertificateReplaced, ReplacementRolledBack
from workers.database.pool import Connection
from workers.errors import ConflictError, TransientError


class PlaceBusyError(TransientError):
    """Somebody else is changing a place at this very moment."""

    code = "place-busy"
    title = "A place is being changed by somebody else"


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What a step did; ``too_early`` are places that are too far behind to take it."""

    replacement_id: int
    state: str
    moved: tuple[Place, ...]
    there_already: tuple[Place, ...]
    too_early: tuple[Place, ...]


def advance(
    connection: Connection,
    *,
    organization_id: int,
    replacement_id: int,
    to: StepState,
    actor: str,
    now: datetime,
    places: Collection[Place] = (),
    without_overlap: bool = False,
) -> Moved:
    """Let places take their next step, ``to``: those named, or all that can.

    When the last place has given up the old certificate, the replacement is completed.

    Raises:
        NotFoundError: there is no such replacement, or a place has no part in it.
        ConflictError: a place is too far behind, the new version cannot be used right now, or the
            replacement is over.
    """
    with connection.transaction():
        locked = lock_replacement(connection, organization_id, replacement_id)
        _check_is_staged(locked)
        decision = moves_on(locked.standings, to=to, chosen=places, without_overlap=without_overlap)
        state = _take(connection, locked, decision, to=to, actor=actor, now=now)
    return _moved(locked, decision, state)


def finish(
    connection: Connection, *, organization_id: int, replacement_id: int, actor: str, now: datetime
) -> Moved:
    """Let every place give up the old certificate and complete the replacement.

    Raises:
        NotFoundError: there is no such replacement.
        ConflictError: a place has not switched; the text lists each. Or it was rolled back.
    """
    with connection.transaction():
        locked = lock_replacement(connection, organization_id, replacement_id)
        if locked.state == "completed":
            return _moved(locked, Decision((), (), ()), locked.state)
        _check_is_staged(locked)
        decision = Decision(check_may_finish(locked.standings), (), ())
        state = _take(connection, locked, decision, to=StepState.RETIRED, actor=actor, now=now)
        if state != "completed":  # it has no places at all
            _end(connection, locked, "completed", actor=actor, now=now)
    return _moved(locked, decision, "completed")


def roll_back(
    connection: Connection,
    *,
    organization_id: int,
    replacement_id: int,
    actor: str,
    now: datetime,
    places: Collection[Place] = (),
) -> Moved:
    """Let the places named go back one step; or all of them to the old one, which ends it.

    Raises:
        NotFoundError: there is no such replacement, or a place has no part in it.
        ConflictError: the old one cannot be used any more, places have given it up (the text lists
            each), or the replacement is completed.
    """
    with connection.transaction():
        locked = lock_replacement(connection, organization_id, replacement_id)
        if not places and locked.state == "rolled_back":
            return _moved(locked, Decision((), (), ()), locked.state)
        _check_is_staged(locked)
        if places:
            decision = moves_back(locked.standings, chosen=places)
            state = _take(connection, locked, decision, to=None, actor=actor, now=now)
        else:
            decision = moves_all_back(locked.standings)
            _take(connection, locked, decision, to=StepState.WAITING, actor=actor, now=now)
            state = "rolled_back"
            _end(connection, locked, state, actor=actor, now=now)
    return _moved(locked, decision, state)


def _take(
    connection: Connection,
    locked: LockedReplacement,
    decision: Decision,
    *,
    to: StepState | None,
    actor: str,
    now: datetime,
) -> str:
    """Move places to ``to``, None: each one step back; return what the replacement is then."""
    before = {each.place: each.state for each in decision.moving if each.state is not None}
    after = {place: to or state_before(state) for place, state in before.items()}
    changing = [place for place in after if uses_new(before[place]) != uses_new(after[place])]
    _move(
        connection,
        locked,
        [place for place in changing if uses_new(after[place])],
        left=locked.old,
        taken=locked.new,
        now=now,
    )
    _move(
        connection,
        locked,
        [place for place in changing if not uses_new(after[place])],
        left=locked.new,
        taken=locked.old,
        now=now,
    )
    record_steps(connection, locked.replacement_id, after, actor=actor, now=now)
    tell_moves(
        connection,
        organization_id=locked.organization_id,
        replacement_id=locked.replacement_id,
        old=locked.old.ref,
        new=locked.new.ref,
        moves=[(place, before[place], state) for place, state in after.items()],
        actor=actor,
    )
    if to is StepState.RETIRED and is_over(read_standings(connection, locked.replacement_id)):
        _end(connection, locked, "completed", actor=actor, now=now)
        return "completed"
    return locked.state


def _move(
    connection: Connection,
    locked: LockedReplacement,
    places: Collection[Place],
    *,
    left: Candidate,
    taken: Candidate,
    now: datetime,
) -> None:
    """Let places use ``taken`` instead of ``left``."""
    if not places:
        return
    reason = reason_against_use(taken, now=now)
    if reason is None and taken.is_retired_default and any(p.kind == SAML_PLACE for p in places):
        reason = f"{taken.ref}: {RETIRED_DEFAULT}"
    if reason is not None:
        raise ConflictError(f"No place can use it: {reason}. Nothing was changed.")
    busy = [place for place in places if place not in locked.usages]
    if busy:
        # It appeared while we waited for the certificate, and waits for it itself now.
        raise PlaceBusyError(f"{busy[0]} is being changed by somebody else; try again in a moment.")
    move_usages(
        connection,
        [locked.usages[place] for place in places],
        to_version_id=taken.version_id,
        from_=[left.version_id],
    )


def _end(
    connection: Connection, locked: LockedReplacement, state: str, *, actor: str, now: datetime
) -> None:
    """Record that the replacement is over, and say so."""
    end_replacement(connection, locked.replacement_id, state=state, actor=actor, now=now)
    if state == "rolled_back":
        mark_as_not_replaced(connection, locked.old.version_id)
        schedule_notices(connection, [locked.old.version_id])
    silence_replaced_versions(connection, locked.old.certificate_id)
    told = CertificateReplaced if state == "completed" else ReplacementRolledBack
    tell(
        connection,
        told(old=named(locked.old.ref), new=named(locked.new.ref), actor=actor),
        organization_id=locked.organization_id,
        replacement_id=locked.replacement_id,
    )


def _check_is_staged(locked: LockedReplacement) -> None:
    if locked.state != "staged":
        raise ConflictError(
            f"Replacement {locked.replacement_id} is {locked.state.replace('_', ' ')}; start"
            " another one to change anything more."
        )


def _moved(locked: LockedReplacement, decision: Decision, state: str) -> Moved:
    return Moved(
        replacement_id=locked.replacement_id,
        state=state,
        moved=tuple(each.place for each in decision.moving),
        there_already=decision.there_already,
        too_early=decision.too_early,
    )
