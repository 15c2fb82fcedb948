"""The order in which announcements go out: each subject's one by one, subjects together. Pure."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from workers.announcements.reading import Announced


@dataclass
class Outcome:
    """What became of some: the numbers that the broker has for sure, and what it did not take."""

    confirmed: list[int] = field(default_factory=list)
    held_back: list[Announced] = field(default_factory=list)


def in_waves(announced: Sequence[Announced]) -> list[list[Announced]]:
    """Share announcements out to waves, with at most one of each subject in a wave.

    They are in order of their numbers, and so are those of a subject over the waves.
    """
    waves: list[list[Announced]] = []
    seen: defaultdict[tuple[int | None, str], int] = defaultdict(int)
    for each in announced:
        place = seen[_line(each)]
        seen[_line(each)] += 1
        if place == len(waves):
            waves.append([])
        waves[place].append(each)
    return waves


def publish_in_order(
    announced: Sequence[Announced],
    publish: Callable[[Sequence[Announced]], set[int]],
    outcome: Outcome,
) -> None:
    """Publish wave after wave, and note in ``outcome`` what is certain; also if an error ends it.

    ``publish`` returns the positions that were not confirmed. What follows one of these in its
    subject is held back: it must not overtake.
    """
    stopped: set[tuple[int | None, str]] = set()
    for wave in in_waves(announced):
        going = [each for each in wave if _line(each) not in stopped]
        outcome.held_back += [each for each in wave if _line(each) in stopped]
        if not going:
            continue
        unconfirmed = publish(going)
        stopped.update(_line(going[position]) for position in unconfirmed)
        outcome.held_back += [going[position] for position in sorted(unconfirmed)]
        outcome.confirmed += [
            each.sequence for position, each in enumerate(going) if position not in unconfirmed
        ]


def _line(announced: Announced) -> tuple[int | None, str]:
    return announced.organization_id, announced.subject
