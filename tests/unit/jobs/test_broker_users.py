"""Patterns of rights: what they match, whatever a user is called."""

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract import Queue
from workers.jobs.broker_users import (
    KEYWRIGHT,
    SCHEDULER,
    WORKER,
    commands,
    definitions,
    requester_rights,
)
from workers.jobs.queues import dead_letter_queue

NAMES = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,20}\Z")


def rights(user: str) -> dict[str, str]:
    """Return what keywright's own user may do."""
    [found] = [each for each in definitions(KEYWRIGHT, "v")["permissions"] if each["user"] == user]
    return found


def test_every_work_queue_is_known() -> None:
    for queue in Queue:
        assert re.search(rights(SCHEDULER)["configure"], queue.value)
        assert re.search(rights(SCHEDULER)["configure"], dead_letter_queue(queue.value))
        assert re.search(rights(WORKER)["read"], queue.value)


@pytest.mark.parametrize(
    "name", ["", "a.b", "a*", "ä", "a b", "-a", "a\n", "a" * 64, "keywright.x"]
)
def test_a_name_that_could_mean_the_queues_of_another_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="the name of a user must be"):
        requester_rights(name)


@pytest.mark.parametrize("name", [each.user for each in KEYWRIGHT])
def test_a_name_of_keywrights_own_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="one of keywright's own"):
        requester_rights(name)


@given(one=NAMES, other=NAMES)
def test_nobody_may_touch_the_queues_of_another(one: str, other: str) -> None:
    if one == other or {one, other} & {each.user for each in KEYWRIGHT}:
        return
    mine = requester_rights(one, reply_queue=True, organizations=[7])
    for kind in ("reply", "events"):
        for name in (f"keywright.{kind}.{other}", f"keywright.{kind}.{other}.1"):
            for pattern in (mine.configure, mine.write, mine.read):
                assert not re.search(pattern, name)
        assert re.search(mine.configure, f"keywright.{kind}.{one}.1")


@given(organization=st.integers(1), other=st.integers(1))
def test_an_organization_is_heard_alone(organization: int, other: int) -> None:
    topics = requester_rights("shop", organizations=[organization]).topics
    assert bool(re.search(topics, f"{other}.certificate.issued")) == (organization == other)
    assert not re.search(topics, f"{organization}")


def test_nothing_is_allowed_that_was_not_asked_for() -> None:
    none = requester_rights("shop", asks=False)
    assert {none.configure, none.write, none.read, none.topics} == {"^$"}
    asks = requester_rights("shop")
    assert (asks.configure, asks.read, asks.topics) == ("^$", "^$", "^$")


def test_everybody_has_a_pattern_for_topics_for_without_one_all_are_allowed() -> None:
    said = definitions(KEYWRIGHT, "v")
    assert [each["user"] for each in said["topic_permissions"]] == [
        each["user"] for each in said["permissions"]
    ]


def test_commands_are_safe_to_give_to_a_shell() -> None:
    for line in commands(requester_rights("shop", reply_queue=True), "v; rm -rf ~"):
        words = shlex.split(line)
        assert words[0] == "rabbitmqctl"
        assert "rm" not in words
