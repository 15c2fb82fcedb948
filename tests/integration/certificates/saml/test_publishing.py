"""Metadata that other people's software checks, before, during and after a replacement."""

from collections.abc import Iterator

import pytest

from tests.integration.certificates.saml.partner import Partner, partner
from tests.integration.certificates.saml.service_provider import CONSUMER, ServiceProvider
from workers.errors import ConflictError, InvalidRequestError

RSA = {"profile": "signing", "key_type": "RSA-2048"}


@pytest.fixture
def idp() -> Iterator[Partner]:
    """An identity provider."""
    with partner() as idp:
        yield idp


def test_a_signing_key_is_rolled_over_without_anybody_being_locked_out(
    acme: ServiceProvider, idp: Partner
) -> None:
    acme.generate("saml", **RSA)
    acme.generate("saml2027", **RSA)
    acme.add()
    assert idp.load(acme.metadata()) == {"certificates": 1, "consumer": CONSUMER}
    by_old = idp.sign(acme.signing_files("saml"))
    by_new = idp.sign(acme.signing_files("saml2027"))
    assert (idp.accepts(by_old), idp.accepts(by_new)) == (True, False)

    replacement_id = acme.start("saml", "saml2027").replacement_id
    with pytest.raises(ConflictError, match="saml_configuration: Okta is waiting"):
        acme.switch()
    assert idp.load(acme.metadata())["certificates"] == 1
    acme.step(replacement_id, "overlapping")
    overlap = acme.metadata()
    # Signed with the key that partners know already; each knows both from then on.
    assert acme.verifies(overlap, "saml")
    assert not acme.verifies(overlap, "saml2027")
    assert idp.load(overlap)["certificates"] == 2
    assert (idp.accepts(by_old), idp.accepts(by_new)) == (True, True)
    assert not idp.accepts(by_new.replace("tenant=1", "tenant=2"))

    switched = acme.switch()
    assert (switched.unique_name, switched.replacement_id) == ("saml2027", replacement_id)
    assert acme.switch() == switched
    assert acme.find().check_state == "switched"
    assert idp.accepts(by_new)  # with the metadata it has
    after_switch = acme.metadata()
    assert acme.verifies(after_switch, "saml2027")
    assert not acme.verifies(after_switch, "saml")
    assert idp.load(after_switch)["certificates"] == 2

    acme.step(replacement_id, "retired")
    assert idp.load(acme.metadata())["certificates"] == 1
    assert (idp.accepts(by_old), idp.accepts(by_new)) == (False, True)


@pytest.mark.parametrize("key_type", ["P-256", "P-384"])
def test_elliptic_curves_sign_metadata_that_xmlsec1_verifies(
    acme: ServiceProvider, key_type: str
) -> None:
    acme.generate("saml", profile="signing", key_type=key_type)
    acme.add()
    metadata = acme.metadata()
    assert acme.verifies(metadata, "saml")
    assert not acme.verifies(metadata.replace(b"tenant=1", b"tenant=2"), "saml")


def test_a_key_that_partners_cannot_check_is_not_taken(acme: ServiceProvider) -> None:
    acme.generate("saml", profile="signing", key_type="Ed25519")
    with pytest.raises(ConflictError, match="cannot check Ed25519"):
        acme.add()


def test_a_configuration_without_certificate_publishes_nothing(acme: ServiceProvider) -> None:
    acme.generate("saml")
    acme.add()
    acme.connection.execute("DELETE FROM keywright.usage")
    assert acme.find().check_state == "uses_default"
    with pytest.raises(ConflictError, match="has no certificate"):
        acme.metadata()
    acme.switch(certificate="saml")
    assert acme.verifies(acme.metadata(), "saml")


def test_how_long_a_copy_is_good_for_is_chosen_within_bounds(acme: ServiceProvider) -> None:
    acme.generate("saml")
    acme.add()
    with pytest.raises(InvalidRequestError, match="valid_days"):
        acme.metadata(valid_days=0)
    assert b"validUntil" in acme.metadata(valid_days=400)
