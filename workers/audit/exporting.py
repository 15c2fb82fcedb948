"""Writing the record to a file of JSON lines: whose it is, links with their entries, the head."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from workers.audit import reading
from workers.audit.chain import Head, genesis
from workers.audit.linking import installation_id
from workers.database.pool import Connection
from workers.errors import InvalidRequestError

Write: TypeAlias = Callable[[bytes], object]

FORMAT = "keywright audit 1"

_WRITTEN_AT_A_TIME = 2**20


def start_of(connection: Connection, first: int) -> Head:
    """Return what stands before position ``first``.

    Raises:
        InvalidRequestError: the chain is not that long.
    """
    if first == 1:
        return Head(position=0, hash=genesis(installation_id(connection)))
    before = reading.hash_at(connection, first - 1)
    if before is None:
        raise InvalidRequestError(f"--from: the chain has no position {first - 1}.")
    return Head(position=first - 1, hash=before)


def export(connection: Connection, write: Write, *, first: int = 1) -> tuple[int, Head]:
    """Write the chain from a position on; return how many links, and the last.

    ``write`` gets about a megabyte at a time.

    Raises:
        InvalidRequestError: the chain is not that long.
    """
    head = start_of(connection, first)
    waiting = bytearray()

    def line(content: Mapping[str, Any]) -> None:
        waiting.extend(json.dumps(content, ensure_ascii=False).encode() + b"\n")
        if len(waiting) >= _WRITTEN_AT_A_TIME:
            flush()

    def flush() -> None:
        write(bytes(waiting))
        waiting.clear()

    installation = str(installation_id(connection))
    line(
        {
            "format": FORMAT,
            "installation": installation,
            "first": first,
            "before": head.hash.hex(),
        }
    )
    count = 0
    with reading.stream_links(connection, after=first - 1) as links:
        for link in links:
            line({"position": link.position, "hash": link.hash.hex(), "entry": link.entry})
            head = Head(position=link.position, hash=link.hash)
            count += 1
    line({"head": str(head)})
    flush()
    return count, head
