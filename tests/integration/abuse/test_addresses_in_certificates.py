"""Addresses in what somebody uploads are never asked (GHSA-54vg-pfh7-jq95, GHSA-v2wp-frmc-5q3v)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from tests.integration.abuse.tenants import Tenants
from tests.integration.certificates.mutual_tls.listeners import Answer, Handling, serving
from workers.certificates.downloading import download_request
from workers.certificates.mutual_tls.enabling import enable
from workers.certificates.mutual_tls.roots import add_roots
from workers.contract import GenerateCertificate, UploadCertificate, UploadClientCertificate
from workers.contract.certificates import Subject


@contextmanager
def watched_address() -> Iterator[tuple[str, list[str]]]:
    """Yield an address, and what was asked for there."""
    asked: list[str] = []

    def note(request: object) -> Answer:
        asked.append(str(getattr(request, "path", "")))
        return 200, ""

    handling: Handling = note
    with serving(handling) as port:
        yield f"http://127.0.0.1:{port}", asked


def test_an_uploaded_chain_makes_us_ask_nobody(tenants: Tenants) -> None:
    acme = tenants.acme
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Root")])
    with watched_address() as (address, asked):

        def certificate(subject: x509.Name, public_key: object, *, ca: bool) -> bytes:
            locations = [
                x509.AccessDescription(oid, x509.UniformResourceIdentifier(f"{address}/{what}"))
                for oid, what in (
                    (AuthorityInformationAccessOID.OCSP, "ocsp"),
                    (AuthorityInformationAccessOID.CA_ISSUERS, "issuer"),
                )
            ]
            point = x509.DistributionPoint(
                [x509.UniformResourceIdentifier(f"{address}/crl")], None, None, None
            )
            builder = (
                x509.CertificateBuilder()
                .subject_name(subject)
                .issuer_name(name)
                .public_key(public_key)  # type: ignore[arg-type]  # of whatever kind
                .serial_number(x509.random_serial_number())
                .not_valid_before(acme.now - timedelta(days=1))
                .not_valid_after(acme.now + timedelta(days=90))
                .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
                .add_extension(x509.AuthorityInformationAccess(locations), critical=False)
                .add_extension(x509.CRLDistributionPoints([point]), critical=False)
            )
            if not ca:
                usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
                builder = builder.add_extension(usages, critical=False)
            return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)

        root = certificate(name, key.public_key(), ca=True)
        generated = GenerateCertificate(
            label="Web",
            ca_signed=True,
            profile="tls_client",
            key_type="P-256",
            subject=Subject(common_name="web"),
        )
        assert tenants.run(generated).problem is None
        request = x509.load_pem_x509_csr(
            download_request(
                acme.connection,
                organization_id=acme.organization_id,
                unique_name="Web",
                version_number=None,
            ).content
        )
        leaf = certificate(request.subject, request.public_key(), ca=False)
        chain = (leaf + root).decode()
        assert tenants.run(UploadCertificate(unique_name="Web", chain=chain)).problem is None

        enable(acme.connection, organization_id=acme.organization_id, by="test", now=acme.now)
        add_roots(
            acme.connection,
            organization_id=acme.organization_id,
            data=root,
            source="root",
            public=None,
            added_by="test",
            now=acme.now,
        )
        partner = certificate(
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Partner")]),
            ec.generate_private_key(ec.SECP256R1()).public_key(),
            ca=False,
        )
        accepted = tenants.run(UploadClientCertificate(pem=(partner + root).decode()))
        assert accepted.problem is None
        # A short chain is not completed from the address that it names.
        short = tenants.run(UploadClientCertificate(pem=leaf.decode()))
        assert short.state in ("succeeded", "failed")
        assert asked == []
