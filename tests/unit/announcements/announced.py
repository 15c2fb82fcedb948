"""Announcements made up for tests."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from workers.announcements.reading import Announced

MOMENT = datetime(2026, 6, 1, 12, 0, 0, 250000, tzinfo=UTC)


def announced(sequence: int, subject: str = "certificate/12", **others: Any) -> Announced:
    """Return an announcement with this number about a subject of organization 7, Acme."""
    values: dict[str, Any] = {
        "event_id": UUID(int=sequence),
        "kind": "certificate.issued",
        "organization_id": 7,
        "organization": "Acme",
        "data": {"unique_name": "web"},
        "occurred_at": MOMENT,
    }
    return Announced(sequence=sequence, subject=subject, **(values | others))
