"""Whether the record is still what it was: every link is worked out again, and faults are located.

Each link is held against the hash that is stored before it, so one altered place is found as one,
and what stands behind it is still checked. Pure, but for the generators that feed it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from workers.audit.chain import Head, link_hash

MOST_FAULTS = 1000
"""So many are kept; a record that was rewritten has as many as links."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link with its entry ``as_json``; None: there is no such entry."""

    position: int
    entry_id: int
    hash: bytes
    entry: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that is not as it was, and where."""

    position: int | None
    entry_id: int | None
    fault: str

    def __str__(self) -> str:
        place = f"entry {self.entry_id}" if self.position is None else f"position {self.position}"
        entry = f", entry {self.entry_id}" if self.position and self.entry_id else ""
        return f"{place}{entry}: {self.fault}"


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a verification found: the first faults, how many in all, and how far it came."""

    faults: list[Fault]
    count: int
    head: Head
    checked: int


class Verification:
    """Walks a chain from the link after ``start``; ``head`` is as far as it has come."""

    def __init__(self, start: Head) -> None:
        self.head = start
        self.checked = 0

    def walk(self, links: Iterable[Link]) -> Iterator[Fault]:
        """Yield what is wrong with links, which come by position."""
        for link in links:
            expected = self.head.position + 1
            if link.position < expected:
                yield Fault(
                    position=link.position,
                    entry_id=link.entry_id,
                    fault=f"it stands where position {expected} belongs",
                )
            elif link.position > expected:
                missing = link.position - expected
                yield Fault(
                    position=expected,
                    entry_id=None,
                    fault=f"{missing} link{'s are' if missing > 1 else ' is'} missing from here on",
                )
            elif link.entry is None:
                yield Fault(
                    position=link.position, entry_id=link.entry_id, fault="the entry is missing"
                )
            elif link_hash(self.head.hash, link.position, link.entry) != link.hash:
                yield Fault(
                    position=link.position,
                    entry_id=link.entry_id,
                    fault="the hash does not fit: the entry, it, or the hash before was altered",
                )
            self.head = Head(position=link.position, hash=link.hash)
            self.checked += 1

    def find(self, *faults: Iterable[Fault]) -> Findings:
        """Return what several lookouts find, one after the other."""
        found = chain(*faults)
        shown = list(islice(found, MOST_FAULTS))
        count = len(shown) + sum(1 for _ in found)
        return Findings(faults=shown, count=count, head=self.head, checked=self.checked)

    def expect(self, anchor: Head, seen: bytes | None) -> Iterator[Fault]:
        """Yield what is wrong with a link that somebody keeps elsewhere; ``seen`` is its hash."""
        if seen is None:
            yield Fault(
                position=anchor.position,
                entry_id=None,
                fault="there is no such link any more: the end was cut off",
            )
        elif seen != anchor.hash:
            yield Fault(
                position=anchor.position,
                entry_id=None,
                fault="the hash is not the one that was kept: all up to it may be rewritten",
            )
