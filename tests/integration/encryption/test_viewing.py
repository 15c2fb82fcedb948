"""Who sees encrypted fields in the clear (rule 47)."""

import pytest

from tests.integration.encryption.shop import Shop
from workers.encryption import may_view
from workers.organizations.members import NewMember, Permission, Profile
from workers.organizations.store import add_members


@pytest.mark.parametrize(
    ("permissions", "profile", "active", "sees"),
    [
        (["view_encrypted_data"], "standard", True, True),
        (["modify_all_data"], "standard", True, False),
        (["modify_all_data", "receive_expiration_notices"], "standard", True, False),
        ([], "system_administrator", True, False),
        (["view_encrypted_data"], "standard", False, False),
        (["modify_all_data", "view_encrypted_data"], "system_administrator", True, True),
    ],
)
def test_only_the_permission_itself_shows_encrypted_data(
    shop: Shop, permissions: list[Permission], profile: Profile, active: bool, sees: bool
) -> None:
    member = NewMember(
        name="Ada",
        email="ada@example.org",
        profile=profile,
        permissions=tuple(permissions),
        active=active,
    )
    [member_id] = add_members(shop.connection, organization_id=shop.acme, members=[member])
    assert may_view(shop.connection, organization_id=shop.acme, member_id=member_id) == sees
    # Of another organization, nobody sees anything.
    assert not may_view(shop.connection, organization_id=shop.globex, member_id=member_id)


def test_who_is_nobody_sees_nothing(shop: Shop) -> None:
    assert not may_view(shop.connection, organization_id=shop.acme, member_id=4711)
