"""Uploads of signed chains against a real authority: rules 13 to 18 and 20 of the model."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from cryptography.x509 import load_der_x509_certificate

from tests.integration.certificates.issuance.workshop import Workshop
from tests.integration.certificates.signing.desk import SERVER, Desk
from tests.integration.certificates.signing.openssl_authority import OpensslAuthority
from workers.certificates.downloading import download_certificate
from workers.certificates.history import certificate_history
from workers.certificates.signing.refusal import ChainRefusedError
from workers.certificates.usages import add_usage
from workers.errors import ConflictError, NotFoundError

CHAIN = ("www.example.org", "CN=Acme Issuing,O=Acme", "CN=Acme Root,O=Acme")


def test_rule_13_and_16_a_version_is_unusable_until_its_chain_is_there(desk: Desk) -> None:
    made = desk.ask()
    assert (made.status, made.not_after) == ("unusable", None)
    with pytest.raises(NotFoundError, match="signed"):
        add_usage(
            desk.acme.connection,
            organization_id=desk.acme.organization_id,
            unique_name="Web",
            place_kind="tls_listener",
            place="www",
            now=desk.acme.now,
        )
    request = desk.request()
    done = desk.upload(desk.authority.chain(request))
    assert (done.outcome, done.version_number, done.version_id) == ("signed", 1, made.version_id)
    assert done.chain == CHAIN
    row = desk.acme.rows()["Web"]
    assert (row.status, row.awaits_signature) == ("valid", False)
    [version] = desk.acme.versions("Web")
    leaf = load_der_x509_certificate(version["certificate_der"])
    assert version["not_after"] == leaf.not_valid_after_utc
    assert version["leaf_not_after"] is None
    assert version["next_notice_at"] is not None
    assert len(version["chain_der"]) == 2
    assert version["csr_der"] is not None
    downloaded = download_certificate(
        desk.acme.connection, organization_id=desk.acme.organization_id, unique_name="Web"
    )
    assert downloaded.content.count(b"BEGIN CERTIFICATE") == 3
    assert desk.request() == request  # still there (rule 16)
    kind, subject, data = desk.acme.announced()[-1]
    assert (kind, subject) == ("certificate.issued", f"certificate/{made.certificate_id}")
    assert data["not_after"] == version["not_after"].isoformat()


@pytest.mark.parametrize("form", ["PEM", "DER", "PKCS7 in PEM", "PKCS7 in DER", "files"])
def test_every_form_and_order_is_taken(desk: Desk, form: str) -> None:
    desk.ask()
    authority = desk.authority
    leaf = authority.sign(desk.request())
    files = {
        "PEM": (b"Some text\n" + authority.issuing + leaf + authority.root,),
        "DER": (
            authority.der(authority.root) + authority.der(authority.issuing) + authority.der(leaf),
        ),
        "PKCS7 in PEM": (authority.bundle(authority.root, leaf, authority.issuing),),
        "PKCS7 in DER": (authority.bundle(authority.issuing, leaf, form="DER"),),
        "files": (authority.root, authority.der(leaf), authority.issuing),
    }[form]
    done = desk.upload(*files)
    assert done.chain == CHAIN[: 2 if form == "PKCS7 in DER" else 3]


def test_rule_14_a_leaf_for_another_key_is_refused_and_its_owner_is_named(desk: Desk) -> None:
    desk.ask()
    desk.ask("Mail")
    chain = desk.authority.chain(desk.request("Mail"))
    assert desk.refused(chain) == ["key_mismatch"]
    with pytest.raises(ChainRefusedError, match="upload it to “Mail”, whose key it is"):
        desk.prepared(chain)
    foreign = desk.authority.openssl(
        *("req", "-new", "-newkey", "rsa:2048", "-noenc", "-keyout", "other.key"),
        *("-subj", "/CN=www.example.org", "-addext", "extendedKeyUsage=serverAuth"),
        *("-addext", "subjectAltName=DNS:www.example.org"),
    )
    with pytest.raises(ChainRefusedError, match="the one that was issued for its certificate sign"):
        desk.prepared(desk.authority.chain(foreign))


def test_rule_15_a_chain_with_a_gap_is_refused(desk: Desk) -> None:
    desk.ask()
    leaf = desk.authority.sign(desk.request())
    assert desk.refused(leaf, desk.authority.root) == ["missing_issuer", "surplus"]
    assert desk.check(leaf, desk.authority.issuing).outcome == "signed"
    [warning] = desk.check(leaf).warnings
    assert warning.code == "issuer_left_out"


def test_rule_17_a_renewal_has_the_same_key_and_the_old_chain_is_kept(desk: Desk) -> None:
    first = desk.ask()
    desk.upload(desk.authority.chain(desk.request(), days=30))
    usage = add_usage(
        desk.acme.connection,
        organization_id=desk.acme.organization_id,
        unique_name="Web",
        place_kind="tls_listener",
        place="www",
        now=desk.acme.now,
    )
    assert usage
    done = desk.upload(desk.authority.chain(desk.request()))
    assert (done.outcome, done.version_number) == ("renewed", 2)
    assert done.still_used_in == ("tls_listener: www",)
    old, new = desk.acme.versions("Web")
    assert old["version_id"] == first.version_id
    assert old["certificate_der"] != new["certificate_der"]
    assert (old["replaced_at"] is not None, new["replaced_at"]) == (True, None)
    assert old["next_notice_at"] is not None  # replaced is not deployed
    assert new["not_after"] - old["not_after"] > timedelta(days=50)
    assert old["public_key_hash"] == new["public_key_hash"]
    assert old["csr_der"] == new["csr_der"]
    assert old["private_key"] != new["private_key"]  # each is bound to its own row
    keys = [desk.acme.private_key(each["version_id"]) for each in (old, new)]
    leaf_key = load_der_x509_certificate(new["certificate_der"]).public_key()
    for key in keys:
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert load_der_public_key(public) == leaf_key
    history = certificate_history(
        desk.acme.connection,
        organization_id=desk.acme.organization_id,
        unique_name="web",
        now=desk.acme.now,
    )
    assert [
        (each.version_number, each.state, each.same_key_as, each.usages) for each in history
    ] == [
        (2, "valid", 1, 0),
        (1, "replaced", 1, 1),
    ]
    assert [kind for kind, *_ in desk.acme.announced()] == [
        *("certificate.requested", "certificate.issued", "certificate.renewed")
    ]


def test_rule_17_the_same_chain_twice_changes_nothing(desk: Desk) -> None:
    desk.ask()
    chain = desk.authority.chain(desk.request())
    first = desk.upload(chain)
    before = desk.acme.versions("Web")
    again = desk.upload(chain)
    assert (again.outcome, again.version_id) == ("there_already", first.version_id)
    assert desk.acme.versions("Web") == before
    assert len(desk.acme.announced()) == 2


def test_rule_17_another_chain_for_the_same_leaf_is_a_renewal(desk: Desk) -> None:
    desk.ask()
    leaf = desk.authority.sign(desk.request())
    desk.upload(leaf, desk.authority.issuing)
    done = desk.upload(leaf, desk.authority.issuing, desk.authority.root)
    assert (done.outcome, done.version_number, len(done.chain)) == ("renewed", 2, 3)


def test_rule_17_going_back_to_a_replaced_chain_is_refused(desk: Desk) -> None:
    desk.ask()
    first = desk.authority.chain(desk.request())
    desk.upload(first)
    desk.upload(desk.authority.chain(desk.request()))
    with pytest.raises(ConflictError, match="of version 1, which version 2 has replaced"):
        desk.upload(first)


def test_a_renewal_that_ends_earlier_is_a_warning(desk: Desk) -> None:
    desk.ask()
    desk.upload(desk.authority.chain(desk.request()))
    done = desk.upload(desk.authority.chain(desk.request(), days=20))
    assert "before the one whose place it takes" in " ".join(done.warnings)


def test_rule_18_a_lifetime_over_the_cap_is_a_warning_or_a_refusal(desk: Desk) -> None:
    desk.ask()
    chain = desk.authority.chain(desk.request(), days=399)
    assert desk.refused(chain, lifetime_caps="refuse") == ["lifetime"]
    assert "no more than" in " ".join(desk.upload(chain).warnings)
    desk.ask("Strict", lifetime_caps="refuse", **SERVER)
    assert desk.refused(desk.authority.chain(desk.request("Strict"), days=399), name="Strict") == [
        "lifetime"
    ]


def test_names_and_usages_of_the_request_have_to_be_in_the_leaf(desk: Desk) -> None:
    desk.ask()
    folder = desk.authority.folder
    (folder / "stripped.csr").write_bytes(desk.request())
    (folder / "client").write_text("extendedKeyUsage = clientAuth")
    desk.authority.openssl(
        *("x509", "-req", "-in", "stripped.csr", "-out", "stripped.pem", "-days", "20"),
        *("-CA", "root.pem", "-CAkey", "root.key", "-extfile", "client"),
    )
    stripped = (folder / "stripped.pem").read_bytes()
    assert desk.refused(stripped, desk.authority.root) == ["extended_key_usage", "missing_name"]
    accept = ("extended_key_usage", "missing_name")
    assert len(desk.upload(stripped, desk.authority.root, accept=accept).warnings) == 2


def test_the_earliest_end_of_the_chain_counts_and_is_said(
    acme: Workshop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    brief = OpensslAuthority.new(tmp_path_factory.mktemp("brief"), issuing_days=10)
    desk = Desk(acme, brief)
    desk.ask()
    done = desk.upload(brief.chain(desk.request()))
    assert done.ends_first == "CN=Acme Issuing,O=Acme"
    assert done.leaf_not_after is not None
    row = acme.rows()["Web"]
    assert (row.not_after, row.leaf_not_after) == (done.not_after, done.leaf_not_after)
    assert row.ends_first == done.ends_first
    issuing = load_der_x509_certificate(brief.der(brief.issuing))
    assert row.not_after == issuing.not_valid_after_utc
    assert any("the whole chain ends with it" in each for each in done.warnings)


def test_a_pending_rekey_gets_the_chain_of_its_key_and_the_present_version_its_own(
    desk: Desk,
) -> None:
    desk.ask()
    desk.upload(desk.authority.chain(desk.request()))
    assert desk.acme.rekey("Web").version_number == 2
    row = desk.acme.rows()["Web"]
    assert (row.version_number, row.status, row.awaits_signature) == (1, "valid", True)
    renewed = desk.upload(desk.authority.chain(desk.request(version=1)))
    assert (renewed.outcome, renewed.version_number) == ("renewed", 3)
    signed = desk.upload(desk.authority.chain(desk.request(version=2)))
    assert (signed.outcome, signed.version_number) == (
        "signed",
        4,
    )  # what was signed last is newest
    row = desk.acme.rows()["Web"]
    assert (row.version_number, row.status, row.awaits_signature) == (4, "valid", False)
    first, third, fourth = desk.acme.versions("Web")
    assert first["public_key_hash"] == third["public_key_hash"] != fourth["public_key_hash"]
    assert [each["replaced_at"] is None for each in (first, third, fourth)] == [False, False, True]
    assert [each["next_notice_at"] is None for each in (first, third, fourth)] == [
        True,
        True,
        False,
    ]
    public_key = desk.acme.private_key(fourth["version_id"]).public_key()
    assert public_key == load_der_x509_certificate(fourth["certificate_der"]).public_key()


def test_what_no_authority_signs_takes_no_chain(desk: Desk) -> None:
    chain = desk.authority.root
    desk.acme.generate("Own")
    with pytest.raises(ConflictError, match="“Own” is self-signed"):
        desk.upload(chain, name="own")
    with pytest.raises(NotFoundError, match="“None”"):
        desk.upload(chain, name="None")


def test_whoever_is_faster_with_the_same_chain_is_no_obstacle(desk: Desk) -> None:
    desk.ask()
    chain = desk.authority.chain(desk.request())
    late = desk.prepared(chain)
    desk.upload(chain)
    done = desk.keep(late)
    assert done.outcome == "there_already"
    other = desk.prepared(desk.authority.chain(desk.request()))
    assert other.private_key is not None
    assert repr(other.private_key) not in repr(other)


def test_what_was_to_be_signed_and_is_signed_meanwhile_is_renewed(desk: Desk) -> None:
    desk.ask()
    late = desk.prepared(desk.authority.chain(desk.request(), days=50))
    assert late.private_key is None
    desk.upload(desk.authority.chain(desk.request(), days=40))
    done = desk.keep(late)
    assert (done.outcome, done.version_number) == ("renewed", 2)
    public_key = desk.acme.private_key(done.version_id).public_key()
    assert public_key == load_der_x509_certificate(late.found.der).public_key()
