"""Without a person: new key pairs before the end, staged where places use them; and a way back."""

from datetime import timedelta
from functools import partial
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from scheduler.fires import fire
from scheduler.timetable import TIMETABLE, Schedule
from tests.integration.certificates.issuance.workshop import Workshop
from tests.integration.jobs.workbench import Workbench
from tests.integration.notifications.household import DAY
from workers.certificates.clean_up.store import purge_deleted
from workers.certificates.deletion import delete_certificate
from workers.certificates.keystore_export import Passwords, collect_contents, write_contents
from workers.certificates.keystore_import import ImportOptions, import_planned, plan_import
from workers.certificates.keystores.reading import read_keystore
from workers.certificates.policies import save_policy
from workers.certificates.replacement.handlers import start_replacement
from workers.certificates.review.handlers import review_certificates
from workers.certificates.tools import CertificateTools
from workers.certificates.usages import add_usage, list_usages
from workers.contract import JobRequest, ReviewCertificates, StartReplacement
from workers.database.pool import Connection
from workers.jobs.execution import Handler

PASSWORD = "a password for the store"
REVIEW = next(each for each in TIMETABLE if isinstance(each.request, ReviewCertificates))


@pytest.fixture
def workshop(connection: Connection, tools: CertificateTools) -> Workshop:
    """An organization that has its certificates rekeyed ten days before their end."""
    workshop = Workshop.of(connection, tools, "Acme")
    save_policy(
        connection,
        organization_id=workshop.organization_id,
        rekey_days_before=10,
        delete_expired_after_days=None,
        grace_days=30,
    )
    return workshop


def age(workshop: Workshop, version_id: int, *, days_left: int) -> None:
    """Make it seem as if a version had been made so long ago that it ends in some days."""
    workshop.connection.execute(
        "UPDATE keywright.certificate_version"
        "   SET not_before = %(end)s - (not_after - not_before), not_after = %(end)s"
        " WHERE version_id = %(version_id)s",
        {"end": workshop.now + days_left * DAY, "version_id": version_id},
    )


def handlers(workshop: Workshop) -> dict[type[JobRequest], Handler]:
    """Return what a worker does for the jobs that a review leads to."""
    return {
        **workshop.handlers(),
        ReviewCertificates: review_certificates,
        StartReplacement: partial(start_replacement, tools=workshop.tools),
    }


def work(workshop: Workshop, workbench: Workbench) -> list[str]:
    """Do all that was asked for, also what is to be done in a minute; return the kinds."""
    execution = workbench.execution(handlers(workshop))
    done: list[str] = []
    while True:
        workshop.connection.execute(
            "UPDATE keywright.job SET run_at = now() WHERE state = 'scheduled'"
        )
        jobs = workshop.connection.execute(
            "SELECT job_id, kind FROM keywright.job WHERE state = 'scheduled' ORDER BY job_id"
        ).fetchall()
        if not jobs:
            return done
        for job_id, kind in jobs:
            execution.execute(job_id)
            done.append(kind)


def tick(workshop: Workshop, schedule: Schedule, *, hours: int) -> int | None:
    """Let a scheduler reach a time of its timetable."""
    return fire(workshop.connection, schedule, fire_at=workshop.now + timedelta(hours=hours))


def replacements(workshop: Workshop) -> list[tuple[int, int, str, str]]:
    """Return the numbers of the old and new versions, the state, and by whom it was begun."""
    return workshop.connection.execute(
        "SELECT old.version_number, new.version_number, state::text, replacement.requested_by"
        "  FROM keywright.replacement"
        "  JOIN keywright.certificate_version AS old ON old.version_id = old_version_id"
        "  JOIN keywright.certificate_version AS new ON new.version_id = new_version_id"
    ).fetchall()


def test_what_is_used_is_rekeyed_and_staged_once_and_places_stay_where_they_are(
    workshop: Workshop, workbench: Workbench
) -> None:
    made = workshop.generate("Signing")
    age(workshop, made.version_id, days_left=5)
    add_usage(
        workshop.connection,
        organization_id=workshop.organization_id,
        unique_name="Signing",
        place_kind="api_client",
        place="Billing",
        now=workshop.now,
    )
    # Two schedulers, a doubled tick, and an hour later the next.
    assert tick(workshop, REVIEW, hours=0) is not None
    tick(workshop, REVIEW, hours=0)
    assert work(workshop, workbench) == [
        "certificate.review",
        "certificate.rekey",
        "certificate.review",
        "replacement.start",
    ]
    tick(workshop, REVIEW, hours=1)
    assert work(workshop, workbench) == ["certificate.review"]
    old, new = workshop.versions("Signing")
    assert new["public_key_hash"] != old["public_key_hash"]
    assert new["not_after"] > workshop.now + 300 * DAY
    assert workshop.private_key(new["version_id"]) != workshop.private_key(old["version_id"])
    [(old_number, new_number, state, requested_by)] = replacements(workshop)
    assert (old_number, new_number, state) == (1, 2, "staged")
    assert requested_by.startswith("job ")
    [usage] = list_usages(workshop.connection, organization_id=workshop.organization_id)
    assert (usage.version_number, usage.replaced) == (1, True)
    # It goes on warning until its last place has switched.
    assert old["next_notice_at"] is not None


def test_what_nothing_uses_just_has_a_new_version(workshop: Workshop, workbench: Workbench) -> None:
    made = workshop.generate("Signing")
    age(workshop, made.version_id, days_left=5)
    tick(workshop, REVIEW, hours=0)
    assert work(workshop, workbench) == [
        "certificate.review",
        "certificate.rekey",
        "certificate.review",
    ]
    old, new = workshop.versions("Signing")
    assert old["replaced_at"] is not None
    assert old["next_notice_at"] is None
    assert new["next_notice_at"] is not None
    assert replacements(workshop) == []


def test_rule_63_what_was_purged_comes_back_from_a_kept_keystore_under_its_name(
    workshop: Workshop,
) -> None:
    made = workshop.generate("Signing")
    connection, keys = workshop.connection, workshop.tools.private_keys
    owner = workshop.organization_id
    kept = write_contents(
        collect_contents(connection, keys, organization_id=owner),
        Passwords(store=PASSWORD),
        store_format="pkcs12",
        truststore=False,
    )
    before = workshop.versions("Signing")[0]
    delete_certificate(connection, organization_id=owner, unique_name="Signing", now=workshop.now)
    with connection.transaction():
        assert purge_deleted(connection, now=workshop.now + 31 * DAY, limit=10) == 1
    assert workshop.versions("Signing") == []
    reading = read_keystore(kept, store_password=PASSWORD)
    plan = plan_import(connection, reading, ImportOptions(), organization_id=owner)
    assert [each.same_as for each in plan.entries] == [None]
    import_planned(connection, keys, plan, organization_id=owner, now=workshop.now)
    [back] = workshop.versions(plan.entries[0].unique_name)
    assert plan.entries[0].unique_name == "signing"
    assert back["version_id"] != made.version_id
    assert back["fingerprint"] == before["fingerprint"]
    key = workshop.private_key(back["version_id"]).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert sha256(spki).digest() == back["public_key_hash"] == before["public_key_hash"]
