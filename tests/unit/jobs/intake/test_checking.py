from typing import Any

import pytest

from workers.contract import JOB_REQUESTS
from workers.errors import NotAllowedError, TooLargeError
from workers.jobs.intake.checking import NOT_GRANTED, check_arguments, check_reply_to
from workers.jobs.intake.cloud_event import RequestEvent
from workers.jobs.intake.refusal import UnreadableRequestError

INTERNAL = sorted(each.kind for each in JOB_REQUESTS if not each.for_requesters)


def event(kind: str, data: dict[str, Any]) -> RequestEvent:
    return RequestEvent(
        id="1",
        source="urn:crm",
        kind=kind,
        organization="Acme",
        unique_key=None,
        run_at=None,
        data=data,
    )


def test_arguments_of_the_contract_are_let_through() -> None:
    check_arguments(event("system.ping", {}))
    check_arguments(event("certificate.rekey", {"unique_name": "Web"}))


@pytest.mark.parametrize("kind", [*INTERNAL, "no.such_kind"])
def test_an_internal_kind_is_refused_like_one_that_is_not_there(kind: str) -> None:
    with pytest.raises(NotAllowedError) as refused:
        check_arguments(event(kind, {}))
    assert str(refused.value) == NOT_GRANTED


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"requested_by": "operator:ada"}, "requested_by: leave it out, it is known who asks."),
        ({}, "unique_name: Field required."),
        ({"unique_name": 7}, "unique_name: Input should be a valid string."),
        ({"unique_name": "Web", "x-secret": 1}, "data: a name that is not known."),
    ],
    ids=range(4),
)
def test_wrong_arguments_are_refused_with_the_name_of_the_field(
    data: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UnreadableRequestError) as refused:
        check_arguments(event("certificate.rekey", data))
    assert str(refused.value) == reason


def test_too_many_bytes_are_refused_before_they_are_looked_at() -> None:
    with pytest.raises(TooLargeError, match=r"^data: at most [0-9]+ bytes for system\.ping\.$"):
        check_arguments(event("system.ping", {"x": "ä" * 1_000_000}))


@pytest.mark.parametrize(
    "reply_to",
    [
        None,
        "amq.rabbitmq.reply-to.g1h2AAo/abc=.Xy==",
        "keywright.reply.crm",
        "keywright.reply.crm.desk-7",
    ],
)
def test_answers_go_where_the_asker_reads(reply_to: str | None) -> None:
    assert check_reply_to(reply_to, "crm") == reply_to


@pytest.mark.parametrize(
    ("reply_to", "broker_user"),
    [
        ("", "crm"),
        ("amq.rabbitmq.reply-to", "crm"),
        ("amq.rabbitmq.reply-to.a b", "crm"),
        ("keywright.reply.crm2", "crm"),
        ("keywright.reply.crm.", "crm"),
        ("keywright.reply.crm\n", "crm"),
        ("keywright.reply.other", "crm"),
        ("keywright.reply.a.b", "a.b"),
        ("certificates", "crm"),
        ("\udcff", "crm"),
    ],
    ids=range(10),
)
def test_answers_go_nowhere_else(reply_to: str, broker_user: str) -> None:
    with pytest.raises(UnreadableRequestError, match=r"^reply_to: "):
        check_reply_to(reply_to, broker_user)
