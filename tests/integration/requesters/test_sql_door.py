"""Asking for jobs in SQL: what is granted and what is not, and what a requester sees."""

import unicodedata
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.integration.requesters.crm import ASK, Crm
from workers.contract import GenerateCertificate
from workers.database.pool import Connection
from workers.requesters.store import GRANTABLE, grant, kinds_meant, revoke, set_enabled

NOT_GRANTED = (
    "42501",
    "this requester has no grant for this kind of job in this organization",
)


def test_a_job_is_asked_for_by_its_requester_through_its_door(crm: Crm) -> None:
    job_id = crm.ask("certificate.generate", {"label": "Web"}, "acme")
    row = crm.owner.execute(
        "SELECT kind, queue::text, organization.name, arguments, requester.name, requested_by,"
        " door, state::text, max_attempts FROM keywright.job JOIN keywright.organization"
        " USING (organization_id) JOIN keywright.requester USING (requester_id) WHERE job_id = %s",
        [job_id],
    ).fetchone()
    assert row == (
        *("certificate.generate", "certificates", "Acme", {"label": "Web"}, "crm"),
        *("requester:crm", "sql", "scheduled", GenerateCertificate.max_attempts),
    )


def test_it_is_part_of_the_transaction_of_who_asks(crm: Crm) -> None:
    with crm.own.transaction(force_rollback=True):
        crm.ask()
    assert crm.jobs() == 0


def test_what_is_not_granted_is_refused_alike_whatever_is_missing(crm: Crm) -> None:
    refusals = {
        crm.refusal("system.ping", {}, "Rival"),
        crm.refusal("system.ping", {}, "Nobody"),
        crm.refusal("system.ping", {}, None),
        crm.refusal("expiry.scan", {}, "Acme"),  # inner work
        crm.refusal("no.such_kind", {}, "Acme"),
        crm.refusal("", {}, ""),
    }
    revoke(crm.owner, name="crm", organization_id=1, kinds=["system.ping"])
    refusals.add(crm.refusal("system.ping", {}, "Acme"))
    grant(crm.owner, name="crm", organization_id=1, kinds=["system.ping"])
    set_enabled(crm.owner, name="crm", enabled=False)
    refusals.add(crm.refusal("system.ping", {}, "Acme"))
    assert refusals == {NOT_GRANTED}
    assert crm.jobs() == 0
    set_enabled(crm.owner, name="crm", enabled=True)
    crm.ask()


def test_inner_work_cannot_be_granted(crm: Crm) -> None:
    assert "expiry.scan" not in GRANTABLE
    with pytest.raises(Exception, match=r"kind expiry\.scan: none that may be granted"):
        kinds_meant(["expiry.scan"])
    assert kinds_meant(["usage.*"]) == ["usage.move", "usage.register", "usage.remove"]
    # And where it is granted all the same, it is refused.
    crm.owner.execute(
        "INSERT INTO keywright.requester_grant (requester_id, organization_id, kind)"
        " VALUES (1, 1, 'job.purge')"
    )
    assert crm.refusal("job.purge", {"older_than_days": 1}) == NOT_GRANTED


def test_a_unique_key_is_the_requesters_own(crm: Crm) -> None:
    first = crm.ask(unique_key="order 7")
    assert crm.ask(unique_key="order 7") == first
    assert crm.ask(unique_key="order 8") != first
    assert crm.one("SELECT unique_key FROM keywright.job WHERE job_id = %s", first) == "crm:order 7"
    assert crm.own.execute(
        "SELECT unique_key FROM keywright.requested_job WHERE job_id = %s", [first]
    ).fetchone() == ("order 7",)
    crm.owner.execute(
        "UPDATE keywright.job SET state = 'succeeded', finished_at = now() WHERE job_id = %s",
        [first],
    )
    assert crm.ask(unique_key="order 7") != first


def test_many_who_ask_with_one_key_at_once_get_one_job(crm: Crm) -> None:
    def ask(_: int) -> int:
        with psycopg.connect(crm.login, autocommit=True) as own:
            return Crm(own, crm.owner, crm.login, crm.role).ask(unique_key="one")

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(ask, range(24)))) == 1
    assert crm.jobs() == 1


def test_an_organization_has_so_many_unfinished_jobs_of_requesters_and_no_more(crm: Crm) -> None:
    crm.owner.execute("UPDATE keywright.organization SET most_open_jobs = 3")
    jobs = [crm.ask() for _ in range(3)]
    state, sentence = crm.refusal()
    assert (state, sentence) == (
        "53400",
        "the organization has 3 unfinished jobs of requesters, as many as it may",
    )
    crm.own.execute("SELECT keywright.cancel(%s)", [jobs[0]])
    crm.ask()
    # keywright's own jobs are free, and do not count.
    crm.owner.execute(
        "INSERT INTO keywright.job (kind, queue, organization_id, max_attempts)"
        " SELECT 'system.ping', 'maintenance', 1, 1 FROM generate_series(1, 5)"
    )


def test_a_later_time_is_kept_and_an_absurd_one_refused(crm: Crm) -> None:
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    job_id = crm.ask(run_at=later)
    assert crm.one("SELECT run_at FROM keywright.job WHERE job_id = %s", job_id) == later
    for absurd in ("infinity", "-infinity", "9999-01-01", "1000-01-01"):
        assert crm.refusal(run_at=absurd) == ("22023", "run_at: within the next ten years")


def test_a_requester_sees_its_own_jobs_and_nothing_else(crm: Crm) -> None:
    mine = crm.ask()
    crm.owner.execute(
        "INSERT INTO keywright.job (kind, queue, organization_id, max_attempts)"
        " VALUES ('system.ping', 'maintenance', 1, 1), ('system.ping', 'maintenance', 2, 1)"
    )
    seen = crm.own.execute("SELECT job_id, organization FROM keywright.requested_job").fetchall()
    assert seen == [(mine, "Acme")]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        crm.own.execute("SELECT job_id FROM keywright.job")


def test_a_job_is_cancelled_and_begun_anew_by_its_requester_alone(crm: Crm) -> None:
    def refused(query: str, job_id: int) -> tuple[str, str]:
        with pytest.raises(psycopg.DatabaseError) as refusal:
            crm.own.execute(query, [job_id])
        sentence = str(refusal.value.diag.message_primary)
        return str(refusal.value.sqlstate), sentence.replace(str(job_id), "N")

    cancel, retry = "SELECT keywright.cancel(%s)", "SELECT keywright.retry(%s)"
    mine = crm.ask()
    foreign = crm.one(
        "INSERT INTO keywright.job (kind, queue, organization_id, max_attempts)"
        " VALUES ('system.ping', 'maintenance', 1, 1) RETURNING job_id"
    )
    for query in (cancel, retry):
        unknown = refused(query, 999_999)
        assert unknown == ("P0002", "this requester has no job N")
        assert refused(query, foreign) == unknown
    assert refused(retry, mine)[0] == "55000"
    assert crm.own.execute(cancel, [mine]).fetchone() == ("cancelled",)
    assert refused(cancel, mine) == ("55000", "job N is cancelled already")
    crm.own.execute(retry, [mine])
    assert crm.one("SELECT state::text FROM keywright.job WHERE job_id = %s", mine) == "scheduled"
    crm.own.execute(cancel, [mine])
    revoke(crm.owner, name="crm", organization_id=1, kinds=["system.ping"])
    assert refused(retry, mine) == NOT_GRANTED


def test_a_retried_job_takes_a_place_like_a_new_one(crm: Crm) -> None:
    first = crm.ask()
    crm.own.execute("SELECT keywright.cancel(%s)", [first])
    crm.owner.execute("UPDATE keywright.organization SET most_open_jobs = 1")
    crm.ask()
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
        crm.own.execute("SELECT keywright.retry(%s)", [first])


def test_who_is_disabled_sees_and_stops_nothing(crm: Crm) -> None:
    job_id = crm.ask()
    set_enabled(crm.owner, name="crm", enabled=False)
    assert crm.own.execute("SELECT job_id FROM keywright.requested_job").fetchall() == []
    for call in ("cancel", "retry"):
        with pytest.raises(psycopg.errors.NoDataFound):
            crm.own.execute(f"SELECT keywright.{call}({job_id})")


def test_what_is_printable_for_python_is_printable_here(connection: Connection) -> None:
    # Code points that Unicode has not given to anything yet differ between versions.
    points = [
        point
        for point in (*range(1, 0x3100), *range(0xE000, 0x10000), *range(0x13400, 0x13460), 0xE0001)
        if unicodedata.category(chr(point)) not in ("Cn", "Cs")
    ]
    rows = connection.execute(
        "SELECT keywright.is_printable(chr(point)) FROM unnest(%s::int[]) AS point", [points]
    ).fetchall()
    wrong = [
        hex(point)
        for point, (found,) in zip(points, rows, strict=True)
        if found != chr(point).isprintable()
    ]
    assert wrong == []


def test_who_is_no_requester_gets_nothing(crm: Crm) -> None:
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege) as refused,
        psycopg.connect(crm.owner.info.dsn, autocommit=True) as owner,
    ):
        owner.execute(ASK, ["system.ping", "{}", "Acme", None, None])
    assert refused.value.diag.message_primary == NOT_GRANTED[1]
