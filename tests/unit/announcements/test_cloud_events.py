"""Announcements as CloudEvents."""

from datetime import timedelta, timezone
from uuid import UUID

from tests.unit.announcements.announced import MOMENT, announced
from workers.announcements.cloud_events import cloud_event

HERE = UUID("0a1b2c3d-0000-4000-8000-000000000001")


def test_an_announcement_is_a_cloud_event() -> None:
    assert cloud_event(announced(42), HERE) == {
        "specversion": "1.0",
        "id": "00000000-0000-0000-0000-00000000002a",
        "source": f"urn:keywright:{HERE}",
        "type": "keywright.certificate.issued.v1",
        "subject": "certificate/12",
        "time": "2026-06-01T12:00:00.250000Z",
        "datacontenttype": "application/json",
        "sequence": "00000000000000000042",
        "partitionkey": "certificate/12",
        "organization": "Acme",
        "data": {"unique_name": "web"},
    }


def test_what_is_of_no_organization_names_none() -> None:
    told = announced(1, organization_id=None, organization=None, kind="job.failed")
    assert "organization" not in cloud_event(told, HERE)


def test_times_are_told_in_utc() -> None:
    told = announced(1, occurred_at=MOMENT.astimezone(timezone(timedelta(hours=5))))
    assert cloud_event(told, HERE)["time"] == "2026-06-01T12:00:00.250000Z"


def test_sequences_sort_as_text() -> None:
    texts = [cloud_event(announced(number), HERE)["sequence"] for number in (9, 10, 2**63 - 1)]
    assert texts == sorted(texts)
    assert {len(text) for text in texts} == {20}
