"""Making certificates: new ones, copies, and new keys for those that are there. SQL only.

Each goes in three steps, so that nothing is held while a key is generated: what
``workers.certificates.ordering`` reads and refuses, ``carry_out`` for the key pair, and ``keep``,
which stores it in the caller's transaction. The jobs do the same with theirs.
"""

from dataclasses import asdict
from datetime import datetime

from workers.announcements.store import announce
from workers.certificates.issuance.automatic_names import self_signed_name
from workers.certificates.issuance.drafts import Draft, Order, carry_out
from workers.certificates.locking import lock_certificate, no_such_certificate
from workers.certificates.making import (
    NewCertificate,
    add_certificates,
    add_key_version,
)
from workers.certificates.naming import free_names
from workers.certificates.ordering import order_copy, order_new, order_rekey
from workers.certificates.tools import CertificateTools
from workers.contract.announcements import CertificateIssued, CertificateRequested
from workers.contract.certificates import (
    CopyCertificate,
    GenerateCertificate,
    IssuedCertificate,
    RekeyCertificate,
)
from workers.database.pool import Connection


def keep(
    connection: Connection,
    tools: CertificateTools,
    draft: Draft,
    *,
    now: datetime,
    requested_by: str,
) -> IssuedCertificate:
    """Store what was made, and announce it, in the caller's transaction.

    Raises:
        NotFoundError: the organization or the certificate is gone.
        ConflictError: the name was taken meanwhile.
    """
    order = draft.order
    if order.after_version is None:
        [made] = add_certificates(
            connection,
            tools.private_keys,
            organization_id=order.organization_id,
            certificates=[
                NewCertificate(
                    unique_name=order.unique_name,
                    label=order.label,
                    kind=order.kind,
                    private_key_exportable=order.private_key_exportable,
                    version=draft.version,
                    made_from=order.made_from.model_dump(mode="json", exclude_defaults=True),
                )
            ],
            now=now,
        )
    else:
        tools.private_keys.make_ready(order.organization_id)
        certificate = lock_certificate(connection, order.organization_id, order.unique_name)
        newest = newest_version(connection, order.organization_id, order.unique_name)
        if newest.version_number != order.after_version:
            return newest
        made = add_key_version(
            connection,
            tools.private_keys,
            organization_id=order.organization_id,
            certificate=certificate,
            version=draft.version,
            now=now,
        )
    found = draft.version.found
    issued = IssuedCertificate(
        **asdict(made),
        status="unusable" if found is None else "valid",
        not_after=None if found is None else found.not_after,
        warnings=draft.warnings,
    )
    announce(
        connection,
        _what_happened(order, issued, requested_by),
        organization_id=order.organization_id,
        subject=f"certificate/{issued.certificate_id}",
    )
    return issued


def _what_happened(
    order: Order, issued: IssuedCertificate, requested_by: str
) -> CertificateIssued | CertificateRequested:
    if issued.not_after is None:
        return CertificateRequested(
            unique_name=issued.unique_name,
            version_number=issued.version_number,
            version_id=issued.version_id,
            kind=order.kind,
            key_type=order.made_from.key_type,
            requested_by=requested_by,
        )
    return CertificateIssued(
        unique_name=issued.unique_name,
        version_number=issued.version_number,
        version_id=issued.version_id,
        kind=order.kind,
        key_type=order.made_from.key_type,
        not_after=issued.not_after,
        requested_by=requested_by,
    )


def newest_version(
    connection: Connection, organization_id: int, unique_name: str
) -> IssuedCertificate:
    """Return the newest version of a certificate that somebody else has made.

    Raises:
        NotFoundError: there is no such certificate.
    """
    row = connection.execute(
        """
        SELECT certificate_id, version_id, unique_name, version_number, not_after
          FROM keywright.certificate
          JOIN keywright.certificate_version USING (organization_id, certificate_id)
         WHERE organization_id = %(organization_id)s AND deleted_at IS NULL
           AND lower(unique_name) = lower(%(unique_name)s)
         ORDER BY version_number DESC
         LIMIT 1
        """,
        {"organization_id": organization_id, "unique_name": unique_name},
    ).fetchone()
    if row is None:
        raise no_such_certificate(unique_name)
    certificate_id, version_id, name, version_number, not_after = row
    return IssuedCertificate(
        certificate_id=certificate_id,
        version_id=version_id,
        unique_name=name,
        version_number=version_number,
        status="unusable" if not_after is None else "valid",
        not_after=not_after,
        made=False,
    )


def generate(
    connection: Connection,
    tools: CertificateTools,
    request: GenerateCertificate,
    *,
    organization_id: int,
    now: datetime,
    requested_by: str,
) -> IssuedCertificate:
    """Make a certificate in this process, as the job of this request would.

    ``connection`` commits by itself, so that nothing is held while the key is generated.

    Raises:
        As ``order_new``, ``carry_out`` and ``keep``.
    """
    order = order_new(connection, request, organization_id=organization_id)
    return _finish(connection, tools, order, now=now, requested_by=requested_by)


def generate_automatically(
    connection: Connection,
    tools: CertificateTools,
    *,
    organization_id: int,
    now: datetime,
    requested_by: str,
) -> IssuedCertificate:
    """Make the certificate of an organization that needs one and has none (rule 11).

    Raises:
        As ``generate``.
    """
    [name] = free_names(connection, organization_id, [self_signed_name(now)])
    return generate(
        connection,
        tools,
        GenerateCertificate(label=name, unique_name=name),
        organization_id=organization_id,
        now=now,
        requested_by=requested_by,
    )


def copy(
    connection: Connection,
    tools: CertificateTools,
    request: CopyCertificate,
    *,
    organization_id: int,
    now: datetime,
    requested_by: str,
) -> IssuedCertificate:
    """Copy a certificate in this process: the same parameters, another key pair (rule 19).

    Raises:
        As ``order_copy``, ``carry_out`` and ``keep``.
    """
    order = order_copy(connection, request, organization_id=organization_id)
    return _finish(connection, tools, order, now=now, requested_by=requested_by)


def rekey(
    connection: Connection,
    tools: CertificateTools,
    *,
    organization_id: int,
    unique_name: str,
    now: datetime,
    requested_by: str,
    expected_version: int | None = None,
) -> IssuedCertificate:
    """Give a certificate a new key pair in this process, everything else as before.

    Raises:
        As ``order_rekey``, ``carry_out`` and ``keep``.
    """
    order = order_rekey(
        connection,
        RekeyCertificate(unique_name=unique_name, expected_version=expected_version),
        organization_id=organization_id,
    )
    if order is None:
        return newest_version(connection, organization_id, unique_name)
    return _finish(connection, tools, order, now=now, requested_by=requested_by)


def _finish(
    connection: Connection,
    tools: CertificateTools,
    order: Order,
    *,
    now: datetime,
    requested_by: str,
) -> IssuedCertificate:
    draft = carry_out(order, now=now, usual_caps=tools.lifetime_caps)
    with connection.transaction():
        return keep(connection, tools, draft, now=now, requested_by=requested_by)
