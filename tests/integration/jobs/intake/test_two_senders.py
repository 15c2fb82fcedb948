"""An id is its sender's own: the same one of another sender is in nobody's way."""

from dataclasses import replace

import pytest

from workers.database.pool import Connection
from workers.jobs.intake.cloud_event import RequestEvent
from workers.jobs.intake.refusal import RepeatedIdError
from workers.jobs.intake.store import take_in
from workers.organizations.store import add_organization
from workers.requesters.store import add_requester, grant

EVENT = RequestEvent(
    id="7",
    source="/orders",
    kind="system.ping",
    organization="Acme",
    unique_key=None,
    run_at=None,
    data={},
)


def test_two_senders_with_the_same_source_and_id_have_a_job_each(connection: Connection) -> None:
    acme, rival = (
        add_organization(connection, name=name, time_zone="UTC", sending_hour=8, is_sandbox=False)
        for name in ("Acme", "Rival")
    )
    crm, shop = (
        add_requester(connection, name=name, broker_user=name, database_role=None)
        for name in ("crm", "shop")
    )
    grant(connection, name="crm", organization_id=acme, kinds=["system.ping"])
    grant(connection, name="shop", organization_id=rival, kinds=["system.ping"])
    mine = take_in(connection, crm, EVENT, None)
    other = replace(EVENT, organization="Rival")
    theirs = take_in(connection, shop, other, None)
    assert (mine.created, theirs.created) == (True, True)
    assert mine.job_id != theirs.job_id
    # And each finds its own when it asks again.
    assert take_in(connection, crm, EVENT, None).job_id == mine.job_id
    assert take_in(connection, shop, other, None).job_id == theirs.job_id
    with pytest.raises(RepeatedIdError):
        take_in(connection, shop, EVENT, None)
