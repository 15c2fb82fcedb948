"""What may follow what while a certificate is replaced, and by when. Pure.

A place goes waiting → overlapping → switched → retired, and back the same way: whoever checks its
signatures must know a certificate before the place uses it, and as long as it does.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from workers.errors import ConflictError, InvalidRequestError, NotFoundError

# What is left between the last step and the end: a week (or an eighth of a short rest) to find out
# that something went wrong, and the same again for the step before.
_LEAST_REST = timedelta(days=7)
_LONGEST_OVERLAP = timedelta(days=14)


class StepState(StrEnum):
    """How far a place has come; in this order."""

    WAITING = "waiting"
    OVERLAPPING = "overlapping"
    SWITCHED = "switched"
    RETIRED = "retired"


_ORDER = tuple(StepState)


class Place(NamedTuple):
    """Where a certificate is used."""

    kind: str
    name: str

    def __str__(self) -> str:
        """Return it as people read it."""
        return f"{self.kind}: {self.name}"


@dataclass(frozen=True, kw_only=True)
class VersionRef:
    """A version of a certificate by name; without a number, the newest that will do."""

    unique_name: str
    version_number: int | None = None

    def __str__(self) -> str:
        """Return it as people read it."""
        number = "" if self.version_number is None else f" version {self.version_number}"
        return f"“{self.unique_name}”{number}"


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """By when both are to be accepted, the new one to be used, and the old one to be given up."""

    overlap_by: datetime
    switch_by: datetime
    retire_by: datetime


class Standing(NamedTuple):
    """Where a place stands; None: it has neither of the two certificates any more."""

    place: Place
    state: StepState | None


@dataclass(frozen=True)
class Decision:
    """Which places move, and which are too far behind or where they are to be already."""

    moving: tuple[Standing, ...]
    there_already: tuple[Place, ...]
    too_early: tuple[Place, ...]


def deadlines(
    *,
    now: datetime,
    not_after: datetime,
    overlap_by: datetime | None = None,
    switch_by: datetime | None = None,
    retire_by: datetime | None = None,
) -> Deadlines:
    """Return the deadlines given, and sensible ones for those that are not.

    All lie between now and ``not_after``, the end of the old certificate, in their order. Where it
    has ended already, everything is due now.

    Raises:
        InvalidRequestError: a given one is in the past, after the end, or out of order.
    """
    given = {"overlap_by": overlap_by, "switch_by": switch_by, "retire_by": retire_by}
    if not_after <= now:
        return Deadlines(overlap_by=now, switch_by=now, retire_by=now)
    for name, moment in given.items():
        if moment is not None and not now < moment < not_after:
            raise InvalidRequestError(
                f"{name}: a time between now and the end of the old certificate,"
                f" {not_after:%Y-%m-%d %H:%M} UTC."
            )
    left = not_after - now
    if retire_by is None:
        rest = min(_LEAST_REST, left / 8)
        # A late switch leaves less: half of what there is after it.
        retire_by = not_after - (
            rest if switch_by is None else min(rest, (not_after - switch_by) / 2)
        )
    if switch_by is None:
        last = retire_by - min(_LEAST_REST, (retire_by - now) / 8)
        switch_by = last if overlap_by is None else max(last, overlap_by)
    if overlap_by is None:
        overlap_by = switch_by - min(_LONGEST_OVERLAP, (switch_by - now) / 2)
    if not overlap_by <= switch_by <= retire_by:
        raise InvalidRequestError(
            "overlap_by, switch_by, retire_by: each at the same time as the one before, or later."
        )
    return Deadlines(overlap_by=overlap_by, switch_by=switch_by, retire_by=retire_by)


def moves_on(
    standings: Sequence[Standing],
    *,
    to: StepState,
    chosen: Collection[Place],
    without_overlap: bool = False,
) -> Decision:
    """Decide which places take their next step, ``to``: those ``chosen``, or all that can.

    ``without_overlap`` lets a place switch that does not accept both: for a certificate that must
    not be accepted any longer. A place that is there already, or further, stays as it is.

    Raises:
        NotFoundError: a chosen place has no part in this.
        ConflictError: a chosen place is too far behind; or none is chosen and none can move.
    """
    if to is StepState.WAITING:
        raise InvalidRequestError("to: overlapping, switched or retired; roll back to go back.")
    standing = _of(standings, chosen)
    target = _ORDER.index(to)
    ready = {_ORDER[target - 1]}
    if without_overlap and to is StepState.SWITCHED:
        ready.add(StepState.WAITING)
    moving = tuple(each for each in standing if each.state in ready)
    there = tuple(
        each.place for each in standing if each.state and _ORDER.index(each.state) >= target
    )
    early = [each for each in standing if each.place not in there and each not in moving]
    if early and (chosen or not (moving or there)):
        raise ConflictError(_too_early(early, to))
    return Decision(moving, there, tuple(each.place for each in early))


def moves_back(standings: Sequence[Standing], *, chosen: Collection[Place]) -> Decision:
    """Decide which of the ``chosen`` places go one step back; those that wait stay.

    Raises:
        NotFoundError: a chosen place has no part in this.
    """
    standing = _of(standings, chosen)
    waiting = tuple(each.place for each in standing if each.state is StepState.WAITING)
    return Decision(tuple(each for each in standing if each.place not in waiting), waiting, ())


def moves_all_back(standings: Sequence[Standing]) -> Decision:
    """Decide which places are to have the old certificate again.

    Raises:
        ConflictError: places have given it up; the text lists each.
    """
    standing = _of(standings, ())
    retired = [each.place for each in standing if each.state is StepState.RETIRED]
    if retired:
        raise ConflictError(
            "These places have given up the old certificate; let each accept it again first, by"
            f" rolling it back alone:\n{_listed(retired)}"
        )
    waiting = tuple(each.place for each in standing if each.state is StepState.WAITING)
    return Decision(tuple(each for each in standing if each.place not in waiting), waiting, ())


def uses_new(state: StepState) -> bool:
    """Say whether a place uses the new certificate, whatever else it accepts."""
    return state in (StepState.SWITCHED, StepState.RETIRED)


def state_before(state: StepState) -> StepState:
    """Return the state that a place goes back to."""
    return _ORDER[max(0, _ORDER.index(state) - 1)]


def check_may_finish(standings: Sequence[Standing]) -> tuple[Standing, ...]:
    """Return the places that have switched and are to give up the old certificate now.

    Raises:
        ConflictError: places have not switched; the text lists each.
    """
    standing = _of(standings, ())
    behind = [each for each in standing if each.state is not None and not uses_new(each.state)]
    if behind:
        raise ConflictError(_too_early(behind, StepState.RETIRED))
    return tuple(each for each in standing if each.state is StepState.SWITCHED)


def is_over(standings: Iterable[Standing]) -> bool:
    """Say whether there are places, and all have given up the old certificate."""
    states = [each.state for each in standings if each.state is not None]
    return bool(states) and all(state is StepState.RETIRED for state in states)


def _of(standings: Sequence[Standing], chosen: Collection[Place]) -> list[Standing]:
    """Return those chosen, or all that still have a part."""
    taking_part = [each for each in standings if each.state is not None]
    if not chosen:
        return taking_part
    unknown = [each for each in chosen if each not in {one.place for one in taking_part}]
    if unknown:
        raise NotFoundError(
            "These places have no part in the replacement; `keywright replacement show` lists those"
            f" that do:\n{_listed(unknown)}"
        )
    return [each for each in taking_part if each.place in chosen]


def _too_early(standings: Sequence[Standing], to: StepState) -> str:
    first = {
        StepState.OVERLAPPING: "waiting",
        StepState.SWITCHED: "overlapping: it has to accept both certificates first",
        StepState.RETIRED: "switched: it has to use the new certificate first",
    }[to]
    places = "\n".join(f"- {each.place} is {each.state}" for each in standings)
    return f"A place becomes {to} only when it is {first}. Nothing was changed.\n{places}"


def _listed(places: Iterable[Place]) -> str:
    return "\n".join(f"- {place}" for place in places)
