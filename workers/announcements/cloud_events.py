"""Announcements as CloudEvents 1.0. Pure, and without a broker's library."""

from datetime import UTC
from typing import Any
from uuid import UUID

from workers.announcements.reading import Announced
from workers.contract.envelope import event_type


def cloud_event(announced: Announced, installation_id: UUID) -> dict[str, Any]:
    """Return an announcement as CloudEvents' JSON format has it.

    ``sequence`` and ``partitionkey`` are extensions of their own specifications; ``organization``
    is ours, and stands where something happened in one.
    """
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(announced.event_id),
        "source": f"urn:keywright:{installation_id}",
        "type": event_type(announced.kind),
        "subject": announced.subject,
        "time": announced.occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "sequence": f"{announced.sequence:020}",
        "partitionkey": announced.subject,
    }
    if announced.organization is not None:
        event["organization"] = announced.organization
    event["data"] = announced.data
    return event
