r"""The chain over the record: what a link's hash covers, byte by byte. Pure.

A hash is SHA-256 over the hash before it (32 bytes), its position (8 bytes, big-endian) and its
entry as JSON: UTF-8, names sorted, no blanks, times in UTC with microseconds and ``Z``. Numbers are
whole and of 18 digits at most; others are covered as texts of them, since no two programs read them
alike. Before the first stands SHA-256 of ``keywright audit 1\n`` and the installation's id, so the
chain of one installation is never that of another.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import UUID

HASH_BYTES = 32
_MOST_DIGITS = 18


def _whole(text: str) -> int | str:
    return int(text) if len(text.lstrip("-")) <= _MOST_DIGITS else text


read_json = partial(json.loads, parse_int=_whole, parse_float=str, parse_constant=str)
"""Reads what an entry holds as the chain covers it."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Something that was done."""

    entry_id: int
    occurred_at: datetime
    actor: str
    door: str
    database_role: str
    job_id: int | None
    organization_id: int | None
    action: str
    object: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    reason: str | None

    def as_json(self) -> dict[str, Any]:
        """Return it as the chain covers it, and as an export has it."""
        moment = self.occurred_at.astimezone(UTC).replace(tzinfo=None)
        return {
            "entry_id": self.entry_id,
            "occurred_at": moment.isoformat(timespec="microseconds") + "Z",
            "actor": self.actor,
            "door": self.door,
            "database_role": self.database_role,
            "job_id": self.job_id,
            "organization_id": self.organization_id,
            "action": self.action,
            "object": self.object,
            "before": self.before,
            "after": self.after,
            "reason": self.reason,
        }


@dataclass(frozen=True, kw_only=True)
class Head:
    """The last link of a chain: who keeps it elsewhere can tell whether the end was cut off."""

    position: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.position}:{self.hash.hex()}"


def genesis(installation_id: UUID) -> bytes:
    """Return the hash before the first."""
    return sha256(f"keywright audit 1\n{installation_id}".encode()).digest()


def link_hash(before: bytes, position: int, entry: Mapping[str, Any]) -> bytes:
    """Return the hash of the link at ``position`` (from 1) for an entry ``as_json``."""
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(before + position.to_bytes(8, "big") + text.encode()).digest()
