"""Public parts of certificates, as files for others: rules 9, 16 and 21. SQL only."""

from ssl import DER_cert_to_PEM_cert
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from workers.certificates.locking import no_such_certificate
from workers.database.pool import Connection
from workers.errors import ConflictError, NotFoundError


class UnsignedError(ConflictError):
    """There is a request, and no certificate yet."""

    code = "unsigned"
    title = "The certificate is not signed yet"


class Download(NamedTuple):
    """A file to hand to others: PEM, and the name that it usually has."""

    file_name: str
    content: bytes


class _Version(NamedTuple):
    unique_name: str
    version_number: int
    certificate_der: bytes | None
    chain_der: list[bytes]
    csr_der: bytes | None


def download_certificate(
    connection: Connection,
    *,
    organization_id: int,
    unique_name: str,
    version_number: int | None = None,
    with_chain: bool = True,
) -> Download:
    """Return a certificate and the issuers that came with it, nearest first.

    Without ``version_number``, the newest that is signed.

    Raises:
        NotFoundError: there is no such certificate or version.
        UnsignedError: it is not signed yet.
    """
    version = _version(
        connection,
        organization_id,
        unique_name,
        version_number,
        prefer="certificate_der IS NOT NULL",
    )
    if version.certificate_der is None:
        raise UnsignedError(
            f"“{version.unique_name}” is not signed yet, so there is no certificate; `keywright"
            " certificate csr` gives the request that its CA is to sign."
        )
    ders = [version.certificate_der, *(version.chain_der if with_chain else ())]
    return Download(f"{version.unique_name}.crt", "".join(map(DER_cert_to_PEM_cert, ders)).encode())


def download_request(
    connection: Connection,
    *,
    organization_id: int,
    unique_name: str,
    version_number: int | None = None,
) -> Download:
    """Return the request that a CA is to sign, or has signed already (rule 16).

    Without ``version_number``, that of the newest version that has one.

    Raises:
        NotFoundError: there is no such certificate or version.
        ConflictError: it never had a request.
    """
    version = _version(
        connection, organization_id, unique_name, version_number, prefer="csr_der IS NOT NULL"
    )
    if version.csr_der is None:
        raise ConflictError(
            f"“{version.unique_name}” has no request: it is not one that keywright has a CA sign."
        )
    request = x509.load_der_x509_csr(version.csr_der)
    return Download(f"{version.unique_name}.csr", request.public_bytes(Encoding.PEM))


def _version(
    connection: Connection,
    organization_id: int,
    unique_name: str,
    version_number: int | None,
    *,
    prefer: str,
) -> _Version:
    row = connection.execute(
        f"""
        SELECT unique_name, version_number, certificate_der, chain_der, csr_der
          FROM keywright.certificate
          JOIN keywright.certificate_version USING (organization_id, certificate_id)
         WHERE organization_id = %(organization_id)s AND deleted_at IS NULL
           AND lower(unique_name) = lower(%(unique_name)s)
           AND (%(version_number)s::integer IS NULL OR version_number = %(version_number)s)
         ORDER BY {prefer} DESC, version_number DESC
         LIMIT 1
        """,
        {
            "organization_id": organization_id,
            "unique_name": unique_name,
            "version_number": version_number,
        },
    ).fetchone()
    if row is not None:
        return _Version(*row)
    if version_number is None:
        raise no_such_certificate(unique_name)
    raise NotFoundError(
        f"There is no version {version_number} of a certificate named “{unique_name}”; `keywright"
        " certificate show` lists them."
    )
