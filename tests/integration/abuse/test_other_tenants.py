"""A thing of another organization and a thing that is not there are refused alike, and untouched.

Modelled on advisories of a peer (Lemur, 2026): `replaces` with anybody's id (GHSA-cfh6-pv5c-38jv),
exports without an ownership check (GHSA-4h97-p9wq-chqj).
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from tests.integration.abuse.tenants import Tenants
from tests.integration.certificates.keystore_jobs.office import Office, issue
from tests.integration.certificates.mutual_tls.partners import BY, ISSUING, PARTNER, ROOT, Partners
from workers.certificates.deletion import delete_certificate
from workers.certificates.keystores.writing import write_keystore
from workers.certificates.mutual_tls.enabling import enable
from workers.contract import (
    AdvanceReplacement,
    CopyCertificate,
    DeleteCertificate,
    ExportKeystore,
    ImportKeystore,
    JobRequest,
    MoveUsage,
    RegisterUsage,
    RekeyCertificate,
    RemoveUsage,
    RestoreCertificate,
    RollBackReplacement,
    StartReplacement,
    UploadCertificate,
    UploadClientCertificate,
    WithdrawClientCertificate,
)
from workers.organizations.members import NewMember
from workers.organizations.store import add_members

PASSWORD = "a password of the keystore"


@dataclass(frozen=True)
class Things:
    """Numbers and names of what somebody has, or of what nobody has."""

    name: str
    place: str
    replacement: int
    deleted: int
    member: int
    secret: UUID
    artifact: UUID

    def words(self) -> tuple[str, ...]:
        """Return what a refusal may repeat."""
        numbers = (self.replacement, self.deleted, self.member)
        return (self.name, self.place, *map(str, (self.secret, self.artifact, *numbers)))


NOBODYS = Things(
    name="nobodys",
    place="nobodys place",
    replacement=700_001,
    deleted=700_002,
    member=700_003,
    secret=uuid4(),
    artifact=uuid4(),
)


def things_of(tenants: Tenants, owner: Office) -> Things:
    """Give an organization one of everything."""
    owner.keep("theirs", issue("theirs"))
    owner.keep("gone", issue("gone"))
    deleted = owner.one(
        "SELECT certificate_id FROM keywright.certificate WHERE organization_id = %s"
        " AND unique_name = 'gone'",
        owner.organization_id,
    )
    delete_certificate(
        owner.connection,
        organization_id=owner.organization_id,
        unique_name="gone",
        now=owner.now,
    )
    for request in (
        RegisterUsage(certificate="theirs", place_kind="listener", place="their place"),
        StartReplacement(certificate="theirs", successor="spare"),
    ):
        assert tenants.run(request, as_=owner).problem is None
    [member] = add_members(
        owner.connection,
        organization_id=owner.organization_id,
        members=[NewMember(name="Mallory", email="mallory@example.org")],
    )
    return Things(
        name="theirs",
        place="their place",
        replacement=owner.one("SELECT max(replacement_id) FROM keywright.replacement"),
        deleted=deleted,
        member=member,
        secret=owner.hand(PASSWORD),
        artifact=owner.bring(keystore()),
    )


def keystore() -> bytes:
    """Return a keystore with one key."""
    return write_keystore("pkcs12", keys=[issue("brought").entry("brought")], password=PASSWORD)


Asking = Callable[[Things, Office], JobRequest]
ASKINGS: dict[str, Asking] = {
    "advance their replacement": lambda it, _: AdvanceReplacement(
        replacement_id=it.replacement, to="switched"
    ),
    "roll back their replacement": lambda it, _: RollBackReplacement(replacement_id=it.replacement),
    "replace their certificate": lambda it, _: StartReplacement(
        certificate=it.name, successor="spare"
    ),
    "replace by their certificate": lambda it, _: StartReplacement(
        certificate="own", successor=it.name
    ),
    "export with their secret": lambda it, _: ExportKeystore(password=str(it.secret)),
    "export their certificate": lambda it, us: ExportKeystore(
        password=us.secret(), certificates=(it.name,)
    ),
    "import their file": lambda it, us: ImportKeystore(artifact=it.artifact, password=us.secret()),
    "import with their secret": lambda it, us: ImportKeystore(
        artifact=us.bring(keystore()), password=str(it.secret)
    ),
    "try an import of their file": lambda it, us: ImportKeystore(
        artifact=it.artifact, password=us.secret(), dry_run=True
    ),
    "accept a client for their member": lambda it, _: UploadClientCertificate(
        pem=(PARTNER.pem + ISSUING.pem).decode(), member_id=it.member
    ),
    "withdraw their client": lambda it, _: WithdrawClientCertificate(unique_name=it.name),
    "restore what they deleted": lambda it, _: RestoreCertificate(
        unique_name="gone", certificate_id=it.deleted
    ),
    "rekey theirs": lambda it, _: RekeyCertificate(unique_name=it.name),
    "copy theirs": lambda it, _: CopyCertificate(source=it.name, label="Mine"),
    "upload a chain for theirs": lambda it, _: UploadCertificate(unique_name=it.name, chain="MAA="),
    "delete theirs": lambda it, _: DeleteCertificate(unique_name=it.name),
    "use theirs": lambda it, _: RegisterUsage(
        certificate=it.name, place_kind="listener", place="mine"
    ),
    "move their place": lambda it, _: MoveUsage(
        place_kind="listener", place=it.place, certificate="own"
    ),
    "remove their place": lambda it, _: RemoveUsage(place_kind="listener", place=it.place),
}


@pytest.mark.parametrize("asking", ASKINGS)
def test_what_is_anothers_is_refused_like_what_is_not_there(tenants: Tenants, asking: str) -> None:
    clients = Partners(tenants.acme.connection, tenants.acme.organization_id)
    enable(clients.connection, organization_id=clients.organization_id, by=BY, now=clients.now)
    clients.trust(ROOT)
    theirs = things_of(tenants, tenants.rival)
    before = tenants.everything_of(tenants.rival)
    refusals = []
    for things in (theirs, NOBODYS):
        done = tenants.run(ASKINGS[asking](things, tenants.acme))
        assert done.state == "failed", done.result
        assert done.problem is not None
        detail = done.problem["detail"]
        for word in sorted(things.words(), key=len, reverse=True):
            detail = detail.replace(word, "…")
        refusals.append((done.problem["type"], done.problem["title"], detail))
    assert refusals[0] == refusals[1]
    assert tenants.everything_of(tenants.rival) == before


def test_a_key_exported_with_all_certificates_is_of_the_own_organization(
    tenants: Tenants,
) -> None:
    done = tenants.run(ExportKeystore(password=tenants.acme.secret(), keep_hours=1))
    assert done.result is not None
    assert done.result["certificates"] == 2
