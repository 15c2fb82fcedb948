"""Uploading and withdrawing client certificates: rules 31 to 33, 37, 59 and 60."""

from datetime import timedelta

import pytest

from tests.integration.certificates.mutual_tls.partners import (
    BY,
    END,
    ISSUING,
    PARTNER,
    ROOT,
    STRANGER,
    Partners,
    client,
)
from tests.unit.certificates.signing.authority import Issued, issue
from workers.certificates.deletion import CertificateInUseError, delete_certificate
from workers.certificates.mutual_tls import roots
from workers.certificates.mutual_tls.enabling import disable, enable
from workers.certificates.mutual_tls.refusing import RefusedUploadError
from workers.certificates.mutual_tls.store import MutualTlsOffError, list_clients
from workers.certificates.reading.contents import read_certificates
from workers.certificates.showing import show_certificate
from workers.certificates.store import save_imported
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError, NotFoundError


def accepted(partners: Partners) -> list[tuple[str, int]]:
    rows = list_clients(partners.connection, partners.organization_id)
    return [(row.unique_name, row.version_number) for row in rows if row.withdrawn_at is None]


def announced(connection: Connection) -> list[str]:
    rows = connection.execute("SELECT kind FROM keywright.announcement ORDER BY announcement_id")
    return [row[0] for row in rows if row[0].startswith("mutual_tls.")]


def test_rule_31_everything_is_refused_until_it_is_enabled(partners: Partners) -> None:
    partners.upload(PARTNER)
    connection, owner = partners.connection, partners.organization_id
    assert disable(connection, organization_id=owner, by=BY)
    assert not disable(connection, organization_id=owner, by=BY)
    with pytest.raises(MutualTlsOffError, match="`keywright mutual-tls enable`"):
        partners.upload(STRANGER)
    with pytest.raises(MutualTlsOffError):
        partners.trust(ROOT)
    with pytest.raises(MutualTlsOffError):
        partners.withdraw("partner")
    with pytest.raises(MutualTlsOffError):
        roots.list_roots(connection, organization_id=owner)
    assert enable(connection, organization_id=owner, by=BY, now=partners.now)
    assert accepted(partners) == [("partner", 1)]


def test_rule_33_label_issuer_serial_and_expiry_are_stored(partners: Partners) -> None:
    uploaded = partners.upload(PARTNER, label="Our first partner", unique_name="first_partner")
    assert uploaded.unique_name == "first_partner"
    [row] = list_clients(partners.connection, partners.organization_id)
    assert row.label == "Our first partner"
    assert row.issuer == "CN=Partner Issuing"
    assert int(row.serial, 16) == PARTNER.certificate.serial_number
    assert row.not_after == END
    with pytest.raises(InvalidRequestError, match="label: 1 to 64"):
        partners.upload(STRANGER, label="x" * 65)


def test_rule_59_the_end_of_a_client_certificate_is_told_of(partners: Partners) -> None:
    partners.upload(PARTNER)
    shown = show_certificate(
        partners.connection, organization_id=partners.organization_id, unique_name="partner"
    )
    assert shown.kind == "imported"
    assert {tier.tier_days for tier in shown.tiers} >= {60, 30, 10}


def test_rule_60_an_accepted_certificate_is_not_deleted(partners: Partners) -> None:
    partners.upload(PARTNER)

    def delete() -> None:
        delete_certificate(
            partners.connection,
            organization_id=partners.organization_id,
            unique_name="partner",
            now=partners.now,
        )

    with pytest.raises(CertificateInUseError, match="mutual_tls_client"):
        delete()
    partners.withdraw("partner")
    delete()
    assert accepted(partners) == []


def test_uploading_twice_changes_nothing_and_a_withdrawn_one_comes_back(partners: Partners) -> None:
    first = partners.upload(PARTNER)
    assert partners.upload(PARTNER, unique_name="another_name") == first
    partners.withdraw("PARTNER")
    with pytest.raises(ConflictError, match="withdrawn already"):
        partners.withdraw("partner")
    with pytest.raises(NotFoundError, match="no client certificate named “nobody”"):
        partners.withdraw("nobody")
    assert accepted(partners) == []
    partners.upload(PARTNER)
    assert accepted(partners) == [("partner", 1)]
    assert announced(partners.connection) == [
        *("mutual_tls.enabled", "mutual_tls.root_trusted", "mutual_tls.accepted"),
        *("mutual_tls.accepted", "mutual_tls.withdrawn", "mutual_tls.accepted"),
    ]


def test_a_certificate_that_was_imported_before_is_accepted_as_it_is(partners: Partners) -> None:
    found = read_certificates(PARTNER.der, source="partner.der").certificates
    save_imported(
        partners.connection,
        organization_id=partners.organization_id,
        found=found,
        now=partners.now,
        unique_name="as_imported",
    )
    assert partners.upload(PARTNER).unique_name == "as_imported"


def test_old_and_new_are_accepted_until_the_old_one_is_withdrawn(partners: Partners) -> None:
    partners.upload(PARTNER)
    renewed = partners.upload(client("partner"), renews="partner")
    assert renewed.version_number == 2
    assert accepted(partners) == [("partner", 1), ("partner", 2)]
    connection = partners.connection
    warning = (
        "SELECT version_number FROM keywright.certificate_version WHERE next_notice_at > now()"
    )
    assert sorted(row[0] for row in connection.execute(warning)) == [1, 2]
    partners.withdraw("partner", 1)
    assert accepted(partners) == [("partner", 2)]
    assert [row[0] for row in connection.execute(warning)] == [2]


def test_rule_32_every_fault_is_listed_and_nothing_is_kept(partners: Partners) -> None:
    bad = issue("bad", not_before=partners.now, not_after=partners.now + timedelta(days=1))
    with pytest.raises(RefusedUploadError) as refused:
        partners.upload(bad, bad)
    codes = {fault.code for fault in refused.value.faults}
    assert codes == {"self_signed", "extended_key_usage"}
    problem = refused.value.problem("urn:test")
    assert [each["code"] for each in problem["faults"]]
    count = "SELECT count(*) FROM keywright.certificate"
    assert partners.connection.execute(count).fetchone() == (0,)


def test_rule_37_a_public_root_is_warned_of(partners: Partners) -> None:
    partners.trust(ROOT, public=True)
    warnings = partners.upload(PARTNER).warnings
    assert [warning.code for warning in warnings] == ["public_authority"]
    assert "2026-06-15" in str(warnings[0])


@pytest.mark.parametrize(
    ("root", "code"),
    [(ISSUING, "not_a_root"), (PARTNER, "not_a_ca")],
    ids=["an intermediate", "a leaf"],
)
def test_only_a_root_is_trusted(partners: Partners, root: Issued, code: str) -> None:
    with pytest.raises(RefusedUploadError) as refused:
        partners.trust(root)
    assert code in {fault.code for fault in refused.value.faults}


def test_a_root_is_removed_with_its_clients_only_if_that_was_said(partners: Partners) -> None:
    partners.upload(PARTNER)
    connection, owner = partners.connection, partners.organization_id
    [root] = roots.list_roots(connection, organization_id=owner)
    assert (root.subject, root.clients, root.is_public) == ("CN=Partner Root", 1, False)

    def remove(fingerprint: str, *, with_clients: bool = False) -> None:
        roots.remove_root(
            connection,
            organization_id=owner,
            fingerprint=fingerprint,
            with_clients=with_clients,
            removed_by=BY,
            now=partners.now,
        )

    with pytest.raises(ConflictError, match=r"--with-clients\):\n- partner \(version 1\)"):
        remove(root.fingerprint.hex())
    with pytest.raises(InvalidRequestError, match="at least 8"):
        remove("12")
    with pytest.raises(NotFoundError):
        remove("00" * 32)
    remove(root.fingerprint.hex()[:12].upper(), with_clients=True)
    assert accepted(partners) == []
    assert roots.list_roots(connection, organization_id=owner) == []
    with pytest.raises(RefusedUploadError, match="none of the roots that are trusted here"):
        partners.upload(PARTNER)
