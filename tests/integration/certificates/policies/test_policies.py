"""Policies: what keywright may do by itself, per organization."""

import pytest

from tests.integration.certificates.policies.shelf import Shelf
from workers.certificates.policies import load_policy, save_policy
from workers.errors import InvalidRequestError, NotFoundError


def test_without_a_policy_nothing_happens_by_itself_and_deletion_has_a_way_back(
    acme: Shelf,
) -> None:
    policy = load_policy(acme.connection, organization_id=acme.organization_id)
    assert (policy.organization, policy.rekey_days_before) == ("Acme", None)
    assert (policy.delete_expired_after_days, policy.grace_days) == (None, 30)


def test_a_policy_is_as_it_was_set_last(acme: Shelf) -> None:
    acme.policy(rekey_days_before=20, delete_expired_after_days=90)
    acme.policy(rekey_days_before=30, grace_days=0)
    policy = load_policy(acme.connection, organization_id=acme.organization_id)
    assert (policy.rekey_days_before, policy.delete_expired_after_days) == (30, None)
    assert policy.grace_days == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rekey_days_before", 0),
        ("rekey_days_before", 366),
        ("delete_expired_after_days", -1),
        ("delete_expired_after_days", 3651),
        ("grace_days", -1),
        ("grace_days", 2**40),
    ],
)
def test_days_out_of_range_are_refused(acme: Shelf, name: str, value: int) -> None:
    with pytest.raises(InvalidRequestError, match="rekey_days_before: 1 to 365"):
        acme.policy(**{name: value})


def test_an_organization_that_is_none_has_no_policy(acme: Shelf) -> None:
    with pytest.raises(NotFoundError):
        load_policy(acme.connection, organization_id=999_999)
    with pytest.raises(NotFoundError):
        save_policy(
            acme.connection,
            organization_id=999_999,
            rekey_days_before=None,
            delete_expired_after_days=None,
            grace_days=1,
        )
