"""The earliest end of an imported chain counts, and everybody is told whose it is."""

from datetime import timedelta

from tests.integration.certificates.issuance.workshop import Workshop
from tests.unit.certificates.certificate_maker import make_found
from workers.certificates.reading.chains import with_chain
from workers.certificates.showing import show_certificate
from workers.certificates.store import save_imported
from workers.certificates.versions import add_version


def test_an_imported_chain_ends_with_the_first_of_it(acme: Workshop) -> None:
    now = acme.now.replace(microsecond=0)
    leaf = make_found("leaf", not_before=now, not_after=now + timedelta(days=90))
    issuer = make_found("issuer", not_before=now, not_after=now + timedelta(days=8))
    root = make_found("root", not_before=now, not_after=now + timedelta(days=900))
    saved = save_imported(
        acme.connection,
        organization_id=acme.organization_id,
        found=[with_chain(leaf, [issuer, root])],
        now=now,
    )
    assert saved.imported[0].not_after == issuer.not_after
    row = acme.rows()["leaf"]
    assert (row.not_after, row.leaf_not_after) == (issuer.not_after, leaf.not_after)
    assert row.ends_first == "CN=issuer"
    renewed = make_found("leaf", number=2, not_before=now, not_after=now + timedelta(days=80))
    add_version(
        acme.connection,
        organization_id=acme.organization_id,
        unique_name="leaf",
        found=with_chain(renewed, [root]),
        now=now,
    )
    shown = show_certificate(
        acme.connection, organization_id=acme.organization_id, unique_name="leaf"
    )
    assert [(each.ends_first, each.leaf_not_after) for each in shown.versions] == [
        (None, None),
        ("CN=issuer", leaf.not_after),
    ]
    assert acme.rows()["leaf"].ends_first is None
    # Tiers are counted from the end that counts: eight days are a short life.
    due = [tier.due_at for tier in shown.tiers if tier.version_number == 1]
    assert max(due) <= issuer.not_after
