"""The chain is what its documentation says, byte by byte."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

from workers.audit.chain import Entry, Head, genesis, link_hash
from workers.audit.verifying import Link, Verification

INSTALLATION = UUID("00000000-0000-0000-0000-000000000007")
ENTRY = Entry(
    entry_id=12,
    occurred_at=datetime(2026, 11, 27, 12, 0, 0, 5, tzinfo=UTC),
    actor="operator:ada",
    door="cli",
    database_role="keywright",
    job_id=None,
    organization_id=1,
    action="certificate.create",
    object="certificate/3",
    before=None,
    after={"unique_name": "Größe", "kind": "self_signed"},
    reason=None,
)


def test_a_hash_covers_the_one_before_the_position_and_the_entry() -> None:
    text = (
        '{"action":"certificate.create","actor":"operator:ada","after":{"kind":"self_signed",'
        '"unique_name":"Größe"},"before":null,"database_role":"keywright","door":"cli",'
        '"entry_id":12,"job_id":null,"object":"certificate/3",'
        '"occurred_at":"2026-11-27T12:00:00.000005Z","organization_id":1,"reason":null}'
    )
    assert json.loads(text) == ENTRY.as_json()
    before = genesis(INSTALLATION)
    assert before == sha256(b"keywright audit 1\n" + str(INSTALLATION).encode()).digest()
    expected = sha256(before + (1).to_bytes(8, "big") + text.encode()).digest()
    assert link_hash(before, 1, ENTRY.as_json()) == expected


def test_a_time_is_the_same_in_every_zone() -> None:
    elsewhere = ENTRY.occurred_at.astimezone(timezone(timedelta(hours=5)))
    assert replace(ENTRY, occurred_at=elsewhere).as_json() == ENTRY.as_json()


def chain(length: int) -> list[Link]:
    links: list[Link] = []
    before = genesis(INSTALLATION)
    for position in range(1, length + 1):
        entry = replace(ENTRY, entry_id=position).as_json()
        before = link_hash(before, position, entry)
        links.append(Link(position=position, entry_id=position, hash=before, entry=entry))
    return links


def faults(links: list[Link]) -> list[tuple[int | None, str]]:
    verification = Verification(Head(position=0, hash=genesis(INSTALLATION)))
    return [(each.position, each.fault) for each in verification.walk(links)]


def test_a_whole_chain_has_no_faults() -> None:
    assert faults(chain(20)) == []


@pytest.mark.parametrize("field", [name for name in ENTRY.as_json() if name != "entry_id"])
def test_an_altered_field_is_found_where_it_is(field: str) -> None:
    links = chain(9)
    entry: dict[str, Any] = dict(links[4].entry or {})
    entry[field] = "altered"
    links[4] = replace(links[4], entry=entry)
    assert [position for position, _ in faults(links)] == [5]


def test_an_altered_hash_is_found_with_the_one_that_builds_on_it() -> None:
    links = chain(9)
    links[4] = replace(links[4], hash=bytes(32))
    assert [position for position, _ in faults(links)] == [5, 6]


def test_a_missing_entry_and_missing_links_are_found() -> None:
    links = chain(9)
    links[6] = replace(links[6], entry=None)
    del links[2:4]
    assert faults(links) == [
        (3, "2 links are missing from here on"),
        (7, "the entry is missing"),
    ]


def test_two_entries_that_changed_places_are_found() -> None:
    links = chain(9)
    links[3], links[5] = (
        replace(links[3], entry=links[5].entry),
        replace(links[5], entry=links[3].entry),
    )
    assert [position for position, _ in faults(links)] == [4, 6]


def test_an_end_that_was_cut_off_is_noticed_by_who_knows_the_head() -> None:
    verification = Verification(Head(position=0, hash=genesis(INSTALLATION)))
    links = chain(9)
    assert list(verification.walk(links[:7])) == []
    [fault] = verification.expect(Head(position=9, hash=links[8].hash), None)
    assert str(fault) == "position 9: there is no such link any more: the end was cut off"
    [fault] = verification.expect(Head(position=7, hash=links[8].hash), links[6].hash)
    assert "not the one that was kept" in fault.fault
    assert list(verification.expect(Head(position=7, hash=links[6].hash), links[6].hash)) == []
