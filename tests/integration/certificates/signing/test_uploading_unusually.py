"""Keys that came from elsewhere, and uploads at the same moment."""

from dataclasses import replace
from functools import partial
from hashlib import sha256

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.integration.certificates.inventory import meanwhile, uncommitted
from tests.integration.certificates.issuance.workshop import ASKER, Workshop
from tests.integration.certificates.signing.desk import Desk
from tests.unit.certificates.signing.authority import DAY, SERVER, dns, extended, issue, key
from workers.certificates.key_versions import load_key_versions, load_owner
from workers.certificates.making import NewCertificate, NewVersion, add_certificates
from workers.certificates.reading.chains import with_chain
from workers.certificates.reading.fields import read_certificate
from workers.certificates.uploading import keep
from workers.contract.chains import UploadedChain
from workers.database.pool import Connection


def test_a_key_that_came_with_a_keystore_is_renewed_by_the_names_that_it_had(
    desk: Desk, acme: Workshop
) -> None:
    made = partial(issue, not_before=acme.now - DAY, not_after=acme.now + 60 * DAY)
    root = made("Elsewhere", ca=True)
    leaf = made("www", dns("a.example", "b.example"), extended(SERVER), issuer=root)
    found = [
        read_certificate(each.der, source="keystore", position=place)
        for place, each in enumerate((leaf, root), start=1)
    ]
    add_certificates(
        acme.connection,
        acme.tools.private_keys,
        organization_id=acme.organization_id,
        certificates=[
            NewCertificate(
                unique_name="www",
                label="www",
                kind="ca_signed",
                private_key_exportable=True,
                version=NewVersion(
                    private_key=leaf.key.private_bytes(
                        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
                    ),
                    public_key=leaf.public_key,
                    key_algorithm="EC P-256",
                    key_size=None,
                    found=with_chain(found[0], found[1:]),
                ),
            )
        ],
        now=acme.now,
    )
    poorer = made("www", dns("a.example"), issuer=root)
    assert desk.refused(poorer.pem, root.pem, name="www") == ["missing_name"]
    richer = made("www", dns("a.example", "b.example", "c.example"), issuer=root)
    done = desk.upload(root.pem, richer.pem, name="www")
    assert (done.outcome, done.version_number) == ("renewed", 2)
    [version, _] = acme.versions("www")[::-1]
    assert version["public_key_hash"] == sha256(leaf.public_key).digest()
    assert acme.private_key(done.version_id).public_key() == key("www").public_key()


def test_what_is_no_certificate_is_told_with_its_place(desk: Desk) -> None:
    desk.ask()
    request = desk.request()
    assert desk.refused(desk.authority.chain(request), request) == ["unreadable"]


def test_two_uploads_at_the_same_moment_come_one_after_the_other(
    desk: Desk, conninfo: str, connection: Connection
) -> None:
    desk.ask()
    first = desk.prepared(desk.authority.chain(desk.request(), days=50))
    second = desk.prepared(desk.authority.chain(desk.request(), days=60))

    def kept(other: Connection) -> UploadedChain:
        with other.transaction():
            return keep(other, desk.acme.tools, second, now=desk.acme.now, requested_by=ASKER)

    with uncommitted(conninfo) as one:
        done = keep(one, desk.acme.tools, first, now=desk.acme.now, requested_by=ASKER)
        with meanwhile(conninfo, connection, kept) as later:
            one.commit()
            result = later.result()
    assert isinstance(result, UploadedChain)
    assert (done.outcome, done.version_number) == ("signed", 1)
    assert (result.outcome, result.version_number) == ("renewed", 2)
    owner = load_owner(connection, desk.acme.organization_id, "Web")
    versions = load_key_versions(connection, owner.certificate_id)
    assert [each.certificate_der for each in versions] == [first.found.der, second.found.der]
    assert replace(versions[0], version_id=0) != versions[1]
