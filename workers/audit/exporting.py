"""The record as a file of JSON lines: a first line that says whose it is, entries, and the head."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

from workers.audit import reading
from workers.audit.chain import Head, genesis
from workers.audit.linking import installation_id
from workers.audit.verifying import Fault, Link, Verification
from workers.database.pool import Connection
from workers.errors import InvalidRequestError

Write: TypeAlias = Callable[[dict[str, Any]], object]

FORMAT = "keywright audit 1"


def start_hash(connection: Connection) -> bytes:
    """Return the hash before the first link."""
    return genesis(installation_id(connection))


def export(connection: Connection, write: Write, *, first: int = 1) -> tuple[int, Head]:
    """Write the chain from a position on; return how many links, and the last.

    Raises:
        InvalidRequestError: the chain is not that long.
    """
    before = start_hash(connection) if first == 1 else reading.hash_at(connection, first - 1)
    if before is None:
        raise InvalidRequestError(f"--from: the chain has no position {first - 1}.")
    installation = str(installation_id(connection))
    write({"format": FORMAT, "installation": installation, "first": first, "before": before.hex()})
    head = Head(position=first - 1, hash=before)
    count = 0
    with reading.stream_links(connection, after=first - 1) as links:
        for link in links:
            write({"position": link.position, "hash": link.hash.hex(), "entry": link.entry})
            head = Head(position=link.position, hash=link.hash)
            count += 1
    write({"head": str(head)})
    return count, head


def verify_file(path: Path, anchor: Head | None) -> tuple[list[Fault], Head, int]:
    """Verify an export as ``Verification`` does the record itself.

    Raises:
        InvalidRequestError: it is no export, or not a whole one.
    """
    try:
        with path.open(encoding="utf-8") as file:
            lines = (json.loads(line) for line in file)
            return _verify(lines, anchor)
    except OSError as error:
        raise InvalidRequestError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequestError(f"{path}: it is no export of the audit record.") from error


def _verify(lines: Iterator[Any], anchor: Head | None) -> tuple[list[Fault], Head, int]:
    about = next(lines, None)
    if not isinstance(about, dict) or about["format"] != FORMAT:
        raise ValueError("no first line")
    start = Head(position=int(about["first"]) - 1, hash=bytes.fromhex(about["before"]))
    faults: list[Fault] = []
    if start.position == 0 and start.hash != genesis(UUID(about["installation"])):
        faults.append(
            Fault(position=1, entry_id=None, fault="it does not begin as this installation's")
        )
    verification = Verification(start)
    said: list[str] = []
    seen: dict[int, bytes] = {}

    def links() -> Iterator[Link]:
        for line in lines:
            if "head" in line:
                said.append(line["head"])
                return
            hash_ = bytes.fromhex(line["hash"])
            if anchor is not None and line["position"] == anchor.position:
                seen[anchor.position] = hash_
            entry = line["entry"]
            yield Link(
                position=line["position"],
                entry_id=0 if entry is None else entry["entry_id"],
                hash=hash_,
                entry=entry,
            )

    faults += verification.walk(links())
    if said != [str(verification.head)]:
        faults.append(
            Fault(
                position=verification.head.position + 1,
                entry_id=None,
                fault="the file ends here, and its last line says otherwise",
            )
        )
    if anchor is not None:
        faults += verification.expect(anchor, seen.get(anchor.position))
    return faults, verification.head, verification.checked
