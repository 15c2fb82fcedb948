"""Importing: names, duplicates, tiers that are past, thousands at once, two imports at once."""

import time
from dataclasses import replace
from pathlib import Path

import certifi
import pytest

from tests.integration.certificates.inventory import inventory, meanwhile, uncommitted
from tests.integration.notifications.household import DAY, NOON, outcomes
from tests.unit.certificates.certificate_maker import make_found
from workers.certificates.deletion import delete_certificate
from workers.certificates.reading.found import FoundCertificate
from workers.certificates.reading.paths import read_paths
from workers.certificates.store import SavedImport, save_imported
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError, NotFoundError


def save(
    connection: Connection, organization_id: int, *found: FoundCertificate, **names: str
) -> SavedImport:
    return save_imported(
        connection,
        organization_id=organization_id,
        found=found,
        now=NOON,
        label=names.get("label"),
        unique_name=names.get("unique_name"),
    )


def test_the_mozilla_trust_store_is_imported_with_everything_a_notice_needs(
    connection: Connection,
) -> None:
    acme = inventory(connection)
    found = read_paths([Path(certifi.where())]).certificates
    saved = save(connection, acme.organization_id, *found)
    assert len(saved.imported) == len(found)
    assert not saved.duplicates
    stored = connection.execute(
        "SELECT label, not_before, not_after, serial, fingerprint, subject, issuer, key_algorithm,"
        " key_size, certificate_der, chain_der, kind::text, version_number, known_since"
        " FROM keywright.certificate JOIN keywright.certificate_version USING (certificate_id)"
        " ORDER BY certificate_id"
    ).fetchall()
    assert [row[1:10] for row in stored] == [
        (
            each.not_before, each.not_after, each.serial, each.fingerprint, each.subject,
            each.issuer, each.key_algorithm, each.key_size, each.der,
        )
        for each in found
    ]  # fmt: skip
    assert {row[10:] for row in [(*r[:10], tuple(r[10]), *r[11:]) for r in stored]} == {
        ((), "imported", 1, NOON)
    }
    assert "ISRG Root X1" in {row[0] for row in stored}
    assert {each.unique_name for each in saved.imported} >= {"ISRG_Root_X1"}


def test_importing_the_same_again_keeps_nothing_and_says_what_is_there(
    connection: Connection,
) -> None:
    acme = inventory(connection)
    one, two = make_found("one"), make_found("two")
    save(connection, acme.organization_id, one)
    saved = save(
        connection, acme.organization_id, two, replace(one, source="b"), replace(two, position=7)
    )
    assert [each.unique_name for each in saved.imported] == ["two"]
    assert [
        (each.source, each.position, each.unique_name, each.first_source, each.first_position)
        for each in saved.duplicates
    ] == [("b", 1, "one", None, None), ("two.crt", 7, "two", "two.crt", 1)]


def test_the_same_entry_handed_over_twice_is_kept_once(connection: Connection) -> None:
    acme = inventory(connection)
    found = make_found("web")
    saved = save(connection, acme.organization_id, found, found)
    assert len(saved.imported) == len(saved.duplicates) == 1


def test_another_organization_may_have_the_same_certificate_and_name(
    connection: Connection,
) -> None:
    found = make_found("web")
    for name in ("Acme", "Globex"):
        saved = save(connection, inventory(connection, name).organization_id, found)
        assert [each.unique_name for each in saved.imported] == ["web"]


def test_a_deleted_certificate_may_come_again_under_its_name(connection: Connection) -> None:
    acme = inventory(connection)
    found = make_found("web")
    save(connection, acme.organization_id, found)
    delete_certificate(
        connection, organization_id=acme.organization_id, unique_name="web", now=NOON
    )
    saved = save(connection, acme.organization_id, found)
    assert [each.unique_name for each in saved.imported] == ["web"]


def test_a_replaced_version_is_recognised_as_well(connection: Connection) -> None:
    acme = inventory(connection)
    first = make_found("web")
    save(connection, acme.organization_id, first)
    acme.renew("web")
    assert [
        each.unique_name for each in save(connection, acme.organization_id, first).duplicates
    ] == ["web"]


def test_namesakes_get_numbers_within_an_import_and_beside_what_is_there(
    connection: Connection,
) -> None:
    acme = inventory(connection)
    save(connection, acme.organization_id, *(make_found("Web", number=n) for n in range(1, 31)))
    saved = save(
        connection,
        acme.organization_id,
        make_found("web", number=31),
        make_found("web 2", number=32),
        make_found("WEB", number=33),
    )
    assert [each.unique_name for each in saved.imported] == ["web_31", "web_2_2", "WEB_32"]


def test_a_single_certificate_may_be_named(connection: Connection) -> None:
    acme = inventory(connection)
    saved = save(
        connection, acme.organization_id, make_found("x"), label="Ünser", unique_name="ours"
    )
    assert (saved.imported[0].label, saved.imported[0].unique_name) == ("Ünser", "ours")
    saved = save(connection, acme.organization_id, make_found("y"), label="Ünser Web")
    assert saved.imported[0].unique_name == "Unser_Web"
    with pytest.raises(ConflictError, match="“OURS” already"):
        save(connection, acme.organization_id, make_found("z"), unique_name="OURS")
    with pytest.raises(InvalidRequestError, match="there are 2"):
        save(connection, acme.organization_id, make_found("v"), make_found("w"), label="l")
    with pytest.raises(InvalidRequestError, match="label"):
        save(connection, acme.organization_id, make_found("v"), label="")
    with pytest.raises(InvalidRequestError, match="unique_name"):
        save(connection, acme.organization_id, make_found("v"), unique_name="1")


def test_a_chain_is_kept_with_its_leaf(connection: Connection) -> None:
    acme = inventory(connection)
    save(
        connection,
        acme.organization_id,
        replace(make_found("leaf"), chain=(b"middle", b"root")),
        make_found("alone"),
    )
    rows = connection.execute(
        "SELECT unique_name, chain_der FROM keywright.certificate"
        " JOIN keywright.certificate_version USING (certificate_id)"
    ).fetchall()
    assert dict(rows) == {"leaf": [b"middle", b"root"], "alone": []}


def test_tiers_that_were_due_before_the_import_are_recorded_and_not_told(
    connection: Connection,
) -> None:
    acme = inventory(connection)
    found = make_found(not_before=NOON - 345 * DAY, not_after=NOON + 20 * DAY)
    [imported] = save(connection, acme.organization_id, found).imported
    assert outcomes(connection, imported.version_id) == {60: "already_past", 30: "already_past"}
    assert acme.warns(imported.version_id)


def test_who_takes_over_an_inventory_is_told_what_came_due_since(connection: Connection) -> None:
    acme = inventory(connection)
    found = make_found(not_before=NOON - 345 * DAY, not_after=NOON + 20 * DAY)
    saved = save_imported(
        connection,
        organization_id=acme.organization_id,
        found=[found],
        now=NOON,
        known_since=NOON - 20 * DAY,
    )
    version_id = saved.imported[0].version_id
    assert outcomes(connection, version_id) == {60: "already_past"}
    acme.plan()
    assert acme.notices(version_id) == [(30, "planned", None)]


def test_an_import_into_no_organization_is_refused(connection: Connection) -> None:
    with pytest.raises(NotFoundError, match="organization"):
        save(connection, 4711, make_found())


def test_importing_nothing_is_no_error(connection: Connection) -> None:
    assert save(connection, inventory(connection).organization_id) == SavedImport((), ())


def test_an_import_is_undone_with_the_transaction_of_its_caller(connection: Connection) -> None:
    acme = inventory(connection)
    with connection.transaction(force_rollback=True):
        save(connection, acme.organization_id, make_found())
    assert connection.execute("SELECT FROM keywright.certificate").fetchone() is None


def test_two_imports_of_the_same_files_at_once_keep_each_certificate_once(
    connection: Connection, conninfo: str
) -> None:
    acme = inventory(connection)
    found = [make_found("web", number=number) for number in range(1, 21)]
    with uncommitted(conninfo) as first:
        assert len(save(first, acme.organization_id, *found[:15]).imported) == 15
        with meanwhile(
            conninfo, connection, lambda other: save(other, acme.organization_id, *found[5:])
        ) as second:
            first.commit()
            saved = second.result()
    assert isinstance(saved, SavedImport)
    assert [each.unique_name for each in saved.imported] == [f"web_{n}" for n in range(16, 21)]
    assert len(saved.duplicates) == 10


def test_ten_thousand_certificates_are_imported_at_once(connection: Connection) -> None:
    acme = inventory(connection)
    found = [
        make_found(f"host-{number % 5000}", number=number, not_after=NOON + number * DAY)
        for number in range(1, 10_001)
    ]
    begun = time.monotonic()
    saved = save(connection, acme.organization_id, *found)
    assert time.monotonic() - begun < 20
    assert len({each.unique_name.lower() for each in saved.imported}) == 10_000
    row = connection.execute(
        "SELECT count(*), count(next_notice_at) FROM keywright.certificate_version"
    ).fetchone()
    assert row == (10_000, 10_000)
