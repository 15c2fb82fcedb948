"""When a policy asks for a rotation."""

from datetime import UTC, datetime, timedelta

import pytest

from workers.keys.policy import RotationPolicy

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def policy(due_at: datetime | None) -> RotationPolicy:
    """Return a policy whose active key is due at a moment."""
    return RotationPolicy(
        organization_id=1,
        organization="Acme",
        every_days=30,
        reencrypt=True,
        active_number=None if due_at is None else 3,
        due_at=due_at,
    )


@pytest.mark.parametrize(
    ("seconds", "due"), [(-86400, False), (-1, False), (0, True), (1, True), (86400 * 365, True)]
)
def test_a_key_is_due_from_its_moment_on_however_late_it_is(seconds: int, due: bool) -> None:
    assert policy(NOON).is_due(NOON + timedelta(seconds=seconds)) is due


def test_where_there_is_no_key_yet_nothing_is_due() -> None:
    assert not policy(None).is_due(NOON)
