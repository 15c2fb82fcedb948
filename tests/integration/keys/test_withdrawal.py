"""Keys that somebody else may know, and keys that are out of use for now."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.keys.keyholder import Keyholder
from workers.errors import ConflictError
from workers.keys.rotation import Rotated
from workers.keys.states import State, UnknownKeyError
from workers.keys.withdrawal import compromise, reinstate, suspend


def report(acme: Keyholder, number: int) -> Rotated:
    """Report a key as compromised."""
    return compromise(
        acme.connection,
        acme.root_keys,
        organization_id=acme.organization_id,
        number=number,
        actor="bob",
        reason="found on a laptop",
    )


def ask(change: Callable[..., None], acme: Keyholder, number: int) -> None:
    """Suspend or reinstate a key."""
    change(
        acme.connection,
        organization_id=acme.organization_id,
        number=number,
        actor="bob",
        reason="an incident",
    )


def announced(acme: Keyholder, kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Return subject and data of the announcements of a kind."""
    return [(subject, data) for each, subject, data in acme.announcements() if each == kind]


def test_an_active_key_that_is_compromised_gives_way_at_once(acme: Keyholder) -> None:
    acme.rotate(None)
    assert report(acme, 1) == Rotated(number=2, former=1, rotated=True)
    assert acme.states() == {1: "compromised", 2: "active"}
    place = f"master-key/{acme.organization_id}"
    assert announced(acme, "master_key.compromised") == [(f"{place}/1", {"number": 1})]
    assert announced(acme, "master_key.rotated") == [
        (f"{place}/2", {"number": 2, "former_number": 1, "reason": "found on a laptop"})
    ]


@pytest.mark.parametrize("state", [State.ARCHIVED, State.SUSPENDED])
def test_a_key_that_is_compromised_later_is_marked(acme: Keyholder, state: State) -> None:
    number = acme.bring_to(state)
    active = max(acme.states())
    assert report(acme, number) == Rotated(number=active, former=number, rotated=False)
    assert acme.states()[number] == "compromised"
    assert len(announced(acme, "master_key.compromised")) == 1


@pytest.mark.parametrize("state", [State.PRE_ACTIVE, State.COMPROMISED, State.DESTROYED])
def test_a_key_that_cannot_be_compromised_is_refused(acme: Keyholder, state: State) -> None:
    number = acme.bring_to(state)
    before = acme.states()
    with pytest.raises(ConflictError, match=f"^Master key {number} is {state}, and cannot become"):
        report(acme, number)
    assert acme.states() == before
    assert announced(acme, "master_key.compromised") == []


def test_a_key_that_is_not_there_is_refused(acme: Keyholder) -> None:
    acme.rotate(None)
    for change in (suspend, reinstate):
        with pytest.raises(UnknownKeyError, match="There is no master key 5"):
            ask(change, acme, 5)
    with pytest.raises(UnknownKeyError, match="There is no master key 5"):
        report(acme, 5)


def test_an_archived_key_is_suspended_and_reinstated(acme: Keyholder) -> None:
    number = acme.bring_to(State.ARCHIVED)
    for _ in range(2):
        ask(suspend, acme, number)
        assert acme.states()[number] == "suspended"
        ask(reinstate, acme, number)
        assert acme.states()[number] == "archived"


@pytest.mark.parametrize("state", [state for state in State if state is not State.ARCHIVED])
def test_only_an_archived_key_is_suspended(acme: Keyholder, state: State) -> None:
    number = acme.bring_to(state)
    with pytest.raises(ConflictError, match=f"is {state}, and cannot become suspended"):
        ask(suspend, acme, number)


@pytest.mark.parametrize("state", [state for state in State if state is not State.SUSPENDED])
def test_only_a_suspended_key_is_reinstated(acme: Keyholder, state: State) -> None:
    # Also not a destroyed one, though an import may make it archived.
    number = acme.bring_to(state)
    with pytest.raises(ConflictError, match=f"is {state}, and cannot become archived"):
        ask(reinstate, acme, number)
