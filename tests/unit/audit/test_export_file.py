"""An export is verified line by line, whatever became of it on the way."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.audit.chain import Entry, Head, genesis, link_hash, read_json
from workers.audit.export_file import verify_file
from workers.errors import InvalidRequestError

INSTALLATION = UUID("00000000-0000-0000-0000-000000000007")
LENGTH = 6


def whole() -> list[dict[str, Any]]:
    """Return the lines of an export."""
    before = genesis(INSTALLATION)
    lines: list[dict[str, Any]] = [
        {
            "format": "keywright audit 1",
            "installation": str(INSTALLATION),
            "first": 1,
            "before": before.hex(),
        }
    ]
    for position in range(1, LENGTH + 1):
        entry = Entry(
            entry_id=position + 10,
            occurred_at=datetime(2026, 11, 27, 12, 0, position, tzinfo=UTC),
            actor="operator:ada",
            door="cli",
            database_role="keywright",
            job_id=None,
            organization_id=1,
            action="certificate.create",
            object=f"certificate/{position}",
            before=None,
            after={"unique_name": "Größe"},
            reason=None,
        ).as_json()
        before = link_hash(before, position, entry)
        lines.append({"position": position, "hash": before.hex(), "entry": entry})
    return [*lines, {"head": f"{LENGTH}:{before.hex()}"}]


def as_text(lines: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where an export is."""
    return tmp_path / "audit.jsonl"


def faults(path: Path, lines: list[dict[str, Any]], anchor: Head | None = None) -> list[str]:
    path.write_text(as_text(lines), encoding="utf-8")
    return [str(each) for each in verify_file(path, anchor).faults]


def test_a_whole_export_has_no_faults(path: Path) -> None:
    assert faults(path, whole()) == []


def test_what_stands_after_the_end_is_refused(path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="line 9: it stands after the end"):
        faults(path, [*whole(), whole()[1]])


def test_a_head_that_says_something_else_is_found(path: Path) -> None:
    lines = whole()
    lines[-1] = {"head": f"{LENGTH}:{'0' * 64}"}
    assert faults(path, lines) == [
        "position 7: the file ends here, and its last line does not say so"
    ]


def test_another_beginning_is_found(path: Path) -> None:
    lines = whole()
    lines[0]["installation"] = str(UUID(int=8))
    assert faults(path, lines) == ["position 1: it does not begin as its installation's"]


def test_a_link_that_somebody_kept_is_held_against_the_file(path: Path) -> None:
    kept = Head(position=3, hash=bytes.fromhex(whole()[3]["hash"]))
    assert faults(path, whole(), kept) == []
    [fault] = faults(path, whole(), Head(position=3, hash=bytes(32)))
    assert "not the one that was kept" in fault
    [fault] = faults(path, whole(), Head(position=99, hash=bytes(32)))
    assert "there is no such link any more" in fault


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (1, "[]"),
        (1, '{"format": "another", "installation": "", "first": 1, "before": ""}'),
        (1, '{"format": "keywright audit 1", "installation": 7, "first": 1, "before": "00"}'),
        (2, "{"),
        (2, "null"),
        (3, '{"position": 2}'),
        (3, '{"position": true, "hash": "zz", "entry": {}}'),
        (3, '{"position": 1e99, "hash": "", "entry": null}'),
        (3, '{"position": 2, "hash": "00", "entry": {"entry_id": 1, "actor": "\\ud800"}}'),
        (3, "[" * 100_000),
    ],
)
def test_a_line_that_is_none_of_an_export_is_named(path: Path, number: int, line: str) -> None:
    lines = as_text(whole()).splitlines()
    lines[number - 1] = line
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InvalidRequestError, match=f"line {number}: cannot be read"):
        verify_file(path, None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(as_text(whole()).encode()) - 1), byte=st.integers(0, 255))
def test_a_byte_that_changed_on_the_way_is_noticed(path: Path, place: int, byte: int) -> None:
    data = bytearray(as_text(whole()).encode())
    before, data[place] = data[place], byte
    path.write_bytes(data)
    try:
        found = verify_file(path, None).faults
    except InvalidRequestError:
        return
    if bytes(data).decode() != as_text(whole()) and not found:
        # What it says is still the same: a blank more, or an upper-case digit of a hash.
        lines = [read_json(line) for line in bytes(data).decode().splitlines()]
        for line in lines:
            for name in ("hash", "before"):
                if name in line:
                    line[name] = line[name].lower()
        lines[0]["installation"] = str(UUID(lines[0]["installation"]))
        assert lines == whole(), (before, byte)


def test_numbers_that_no_two_programs_read_alike_are_texts() -> None:
    text = '{"a": [1, -5, 0.10, 1e5, 123456789012345678, 1234567890123456789, NaN]}'
    assert read_json(text) == {
        "a": [1, -5, "0.10", "1e5", 123456789012345678, "1234567890123456789", "NaN"]
    }
