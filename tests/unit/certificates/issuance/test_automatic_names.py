from datetime import UTC, datetime, timedelta, timezone

import pytest

from workers.certificates.issuance.automatic_names import self_signed_name
from workers.certificates.names import check_unique_name


def test_rule_11_the_models_own_example() -> None:
    assert (
        self_signed_name(datetime(2019, 5, 28, 23, 12, 32, tzinfo=UTC))
        == "SelfSignedCert_28May2019_231232"
    )


def test_rule_11_the_moment_is_told_in_utc() -> None:
    east = timezone(timedelta(hours=9))
    assert self_signed_name(datetime(2026, 1, 1, 8, 0, 1, tzinfo=east)).endswith(
        "_31Dec2025_230001"
    )


@pytest.mark.parametrize("month", range(1, 13))
def test_rule_2_every_such_name_is_a_unique_name(month: int) -> None:
    name = self_signed_name(datetime(2026, month, 3, 4, 5, 6, tzinfo=UTC))
    assert check_unique_name(name) == name
