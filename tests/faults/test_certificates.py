"""Jobs that make, sign and delete certificates, in workers that are killed in the middle."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.keystore_vault import Vault
from tests.integration.certificates.keystore_jobs.office import issue
from tests.integration.certificates.signing.openssl_authority import OpensslAuthority
from tests.servers.waiting import until
from workers.certificates.downloading import download_request
from workers.contract import (
    CleanUpCertificates,
    CopyCertificate,
    GenerateCertificate,
    RekeyCertificate,
    UploadCertificate,
)
from workers.contract.certificates import AlternativeNames

# Workers wait here in the middle of what they write: some stands in their transaction already.
GATE = """
CREATE TABLE public.gate (opened boolean);
CREATE FUNCTION public.wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WHILE NOT EXISTS (SELECT FROM public.gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
    RETURN NEW;
END $$;
CREATE TRIGGER gate BEFORE INSERT ON keywright.announcement FOR EACH ROW
    WHEN (current_setting('application_name') = 'keywright worker')
    EXECUTE FUNCTION public.wait_at_gate();
"""
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
# Of each kind, how often and of how many certificates: Old is issued twice.
TOLD = [
    ("certificate.deleted", 1, 1),
    ("certificate.issued", 4, 3),
    ("certificate.requested", 1, 1),
]
LONG_AGO = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
def vault(tmp_path: Path, conninfo: str) -> Iterator[Vault]:
    """An organization with a worker's surroundings; nobody works yet."""
    with ExitStack() as stack:
        yield Vault(conninfo, None, tmp_path, stack)


def state_of(vault: Vault) -> object:
    """Return all that the jobs below change."""
    return vault.office.one("""
        SELECT jsonb_build_object(
            'certificates', (SELECT jsonb_agg(to_jsonb(certificate) ORDER BY certificate_id)
                               FROM keywright.certificate),
            'versions', (SELECT jsonb_agg(to_jsonb(version) ORDER BY version_id)
                           FROM keywright.certificate_version AS version),
            'announcements', (SELECT count(*) FROM keywright.announcement))
        """)


def test_a_worker_killed_while_it_makes_signs_or_deletes_certificates_leaves_all_or_nothing(
    vault: Vault,
) -> None:
    acme = vault.office
    acme.keep("gone", issue("gone", end=LONG_AGO))  # and with it, the root key is made
    (vault.folder / "authority").mkdir()
    authority = OpensslAuthority.new(vault.folder / "authority")
    vault.start_scheduler()
    preparing = vault.start_worker()
    names = AlternativeNames(dns=("www.example.org",))
    made = vault.await_end(
        vault.enqueue(
            GenerateCertificate(
                label="Web", ca_signed=True, profile="tls_server", alternative_names=names
            )
        ),
        vault.enqueue(GenerateCertificate(label="Old", profile="signing", key_type="P-256")),
    )
    assert [each.problem for each in made] == [None, None]
    preparing.stop()
    request = download_request(
        acme.connection,
        organization_id=acme.organization_id,
        unique_name="Web",
        version_number=None,
    ).content
    acme.connection.execute(
        "INSERT INTO keywright.certificate_policy (organization_id, delete_expired_after_days)"
        " VALUES (%s, 0)",
        [acme.organization_id],
    )
    acme.connection.execute(GATE)
    before = state_of(vault)
    victim = vault.start_worker()
    jobs = [
        vault.enqueue(GenerateCertificate(label="New", profile="signing", key_type="P-256")),
        vault.enqueue(RekeyCertificate(unique_name="Old")),
        vault.enqueue(
            UploadCertificate(unique_name="Web", chain=authority.chain(request).decode())
        ),
        vault.enqueue(CleanUpCertificates()),
    ]
    until(lambda: acme.one(WAITING) == len(jobs), "all jobs to be in the middle")
    victim.kill()
    assert state_of(vault) == before

    vault.start_worker()
    until(lambda: all(vault.job(each).attempt == 2 for each in jobs), "another to take them over")
    acme.connection.execute("INSERT INTO public.gate VALUES (true)")
    done = vault.await_end(*jobs)
    assert [(each.state, each.problem) for each in done] == [("succeeded", None)] * len(jobs)
    # What the killed one had locked is left for the next clean-up.
    vault.await_end(vault.enqueue(CleanUpCertificates()))
    assert acme.connection.execute("""
        SELECT unique_name, max(version_number), count(*), bool_and(not_after IS NOT NULL),
               bool_or(deleted_at IS NOT NULL)
          FROM keywright.certificate JOIN keywright.certificate_version USING (certificate_id)
         GROUP BY unique_name ORDER BY unique_name
        """).fetchall() == [
        ("New", 1, 1, True, False),
        ("Old", 2, 2, True, False),
        ("Web", 1, 1, True, False),
        ("gone", 1, 1, True, True),
    ]

    assert (
        acme.connection.execute("""
        SELECT kind, count(*), count(DISTINCT subject) FROM keywright.announcement
         WHERE kind LIKE 'certificate.%' GROUP BY kind ORDER BY kind
        """).fetchall()
        == TOLD
    )


def test_a_copy_whose_worker_is_frozen_and_taken_for_dead_is_made_once(vault: Vault) -> None:
    acme = vault.office
    acme.keep("one", issue("one"))
    vault.start_scheduler()
    frozen = vault.start_worker()
    [made] = vault.await_end(
        vault.enqueue(GenerateCertificate(label="One more", profile="signing", key_type="P-256"))
    )
    assert made.problem is None
    acme.connection.execute(GATE)
    job = vault.enqueue(CopyCertificate(source="One_more", label="Two"))
    until(lambda: acme.one(WAITING) == 1, "the job to be in the middle")
    frozen.freeze()
    vault.start_worker()
    until(lambda: vault.job(job).attempt == 2, "another to take it over")
    frozen.thaw()
    acme.connection.execute("INSERT INTO public.gate VALUES (true)")
    [done] = vault.await_end(job)
    assert done.state == "succeeded", done.problem
    assert vault.count("certificate") == 3
    assert vault.count("certificate_version") == 3
