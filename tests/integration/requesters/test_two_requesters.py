"""Two systems that ask in SQL for one organization: neither sees or stops the other's jobs."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.integration.requesters.crm import Crm
from tests.servers.postgres import PostgresServer
from workers.requesters.store import GRANTABLE, add_requester, grant, revoke

CALLS = ("SELECT keywright.cancel(%s)", "SELECT keywright.retry(%s)")


@pytest.fixture
def shop(postgres: PostgresServer, conninfo: str, crm: Crm) -> Iterator[Crm]:
    """Another system, which may ask for everything in Acme and in Rival."""
    with postgres.login(conninfo, "keywright_requester") as login:
        role = str(psycopg.conninfo.conninfo_to_dict(login)["user"])
        add_requester(crm.owner, name="shop", broker_user=None, database_role=role)
        for organization_id in (1, 2):
            grant(crm.owner, name="shop", organization_id=organization_id, kinds=GRANTABLE)
        with psycopg.connect(login, autocommit=True) as own:
            yield Crm(own, crm.owner, login, role)


def refusal(asking: Crm, query: str, job_id: int) -> tuple[str, str]:
    """Return SQLSTATE and sentence, without the job's number."""
    with pytest.raises(psycopg.DatabaseError) as refused:
        asking.own.execute(query, [job_id])
    sentence = str(refused.value.diag.message_primary)
    return str(refused.value.sqlstate), sentence.replace(str(job_id), "N")


def seen(asking: Crm) -> list[int]:
    """Return the jobs that a requester sees."""
    rows = asking.own.execute("SELECT job_id FROM keywright.requested_job").fetchall()
    return [job_id for (job_id,) in rows]


def test_each_sees_its_own_jobs(crm: Crm, shop: Crm) -> None:
    mine, theirs = crm.ask(), shop.ask()
    assert (seen(crm), seen(shop)) == ([mine], [theirs])


@pytest.mark.parametrize("query", CALLS)
@pytest.mark.parametrize("state", ["scheduled", "cancelled"])
def test_a_job_of_the_other_is_none_to_cancel_or_retry(
    crm: Crm, shop: Crm, query: str, state: str
) -> None:
    theirs = shop.ask()
    if state == "cancelled":
        shop.own.execute(CALLS[0], [theirs])
    assert refusal(crm, query, theirs) == refusal(crm, query, 999_999)
    assert crm.one("SELECT state::text FROM keywright.job") == state


def test_a_key_of_the_other_stands_in_nobodys_way(crm: Crm, shop: Crm) -> None:
    mine = crm.ask(unique_key="order 7")
    theirs = shop.ask(unique_key="order 7")
    elsewhere = shop.ask(organization="Rival", unique_key="order 7")
    assert len({mine, theirs, elsewhere}) == 3


def test_a_grant_of_the_other_is_none(crm: Crm, shop: Crm) -> None:
    job_id = crm.ask()
    crm.own.execute(CALLS[0], [job_id])
    revoke(crm.owner, name="crm", organization_id=1, kinds=["system.ping"])
    not_granted = crm.refusal()
    assert not_granted[0] == "42501"
    # Nor do its own grants for other kinds help.
    assert refusal(crm, CALLS[1], job_id) == not_granted
    shop.ask()
