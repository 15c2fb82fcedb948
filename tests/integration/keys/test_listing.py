"""Master keys as people see them."""

import pytest

from tests.integration.keys.keyholder import Keyholder, keyholder
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.listing import Move, key_history, list_keys, show_key
from workers.keys.root_keys import RootKeys
from workers.keys.states import Origin, State, UnknownKeyError


def test_a_key_is_listed_with_all_there_is_to_know(acme: Keyholder) -> None:
    key = CleartextKey.generate()
    acme.rotate(None, material=key, origin=Origin.UPLOADED)
    [found] = list_keys(acme.connection)
    assert (found.organization, found.number, found.state) == ("Acme", 1, State.ACTIVE)
    assert (found.origin, found.uses_leased, found.destroy_at) == (Origin.UPLOADED, 0, None)
    assert (found.check_value, found.fingerprint) == (key.check_value(), key.fingerprint())
    assert found.root_keys == [acme.root_keys.current.identifier]
    assert found.created_at <= found.state_since
    assert show_key(acme.connection, acme.organization_id, 1) == found
    assert key.reveal().hex() not in repr(found)


def test_keys_are_listed_by_organization_and_number(acme: Keyholder, root_keys: RootKeys) -> None:
    zebra = keyholder(acme.connection, root_keys, "zebra")
    for holder in (zebra, acme):
        holder.rotate(None)
        holder.rotate(1)
    listed = [(key.organization, key.number) for key in list_keys(acme.connection)]
    assert listed == [("Acme", 1), ("Acme", 2), ("zebra", 1), ("zebra", 2)]
    ours = list_keys(acme.connection, organization_id=zebra.organization_id)
    assert [(key.organization, key.number) for key in ours] == [("zebra", 1), ("zebra", 2)]


def test_every_move_is_kept_with_who_why_and_when(acme: Keyholder) -> None:
    acme.rotate(None, actor="keywright", reason="the first")
    acme.rotate(1, actor="bob", reason="yearly")
    acme.move(1, State.SUSPENDED, actor="carol", reason="an incident")
    history = key_history(acme.connection, acme.organization_id, 1)
    assert [(m.from_state, m.to_state, m.actor, m.reason) for m in history] == [
        (None, State.PRE_ACTIVE, "keywright", "the first"),
        (State.PRE_ACTIVE, State.ACTIVE, "keywright", "the first"),
        (State.ACTIVE, State.ARCHIVED, "bob", "yearly"),
        (State.ARCHIVED, State.SUSPENDED, "carol", "an incident"),
    ]
    assert [m.moved_at for m in history] == sorted(m.moved_at for m in history)
    shown = show_key(acme.connection, acme.organization_id, 1)
    assert (shown.state_actor, shown.state_reason) == ("carol", "an incident")
    assert shown.state_since == history[-1].moved_at
    assert isinstance(history[0], Move)


def test_a_key_that_is_not_there_is_said_so(acme: Keyholder) -> None:
    with pytest.raises(UnknownKeyError, match="There is no master key 3; `keywright key list`"):
        show_key(acme.connection, acme.organization_id, 3)
    assert key_history(acme.connection, acme.organization_id, 3) == []
    assert list_keys(acme.connection) == []
