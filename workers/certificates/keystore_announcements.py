"""What left in a keystore and what came in one: announced (rule 64) and recorded."""

from workers.announcements.store import announce
from workers.audit.recording import record
from workers.certificates.keystore_export import KeystoreContents
from workers.certificates.keystore_import import ImportPlan
from workers.contract.announcements import KeystoreExported, KeystoreImported
from workers.database.pool import Connection


def announce_export(
    connection: Connection,
    contents: KeystoreContents,
    *,
    organization_id: int,
    subject: str,
    requested_by: str,
    store_format: str,
    job_id: int | None,
) -> None:
    """Say who exported what: every private key that leaves is named."""
    announce(
        connection,
        KeystoreExported(
            requested_by=requested_by,
            job_id=job_id,
            format=store_format,
            certificates=len(contents.entries),
            private_keys=contents.with_key,
        ),
        organization_id=organization_id,
        subject=subject,
    )
    record(
        connection,
        action="keystore.export",
        object_name=subject,
        organization_id=organization_id,
        after={
            "format": store_format,
            "certificates": [each.unique_name for each in contents.entries],
            "private_keys": contents.with_key,
        },
    )


def announce_import(
    connection: Connection,
    plan: ImportPlan,
    *,
    organization_id: int,
    subject: str,
    requested_by: str,
    job_id: int | None,
) -> None:
    """Say who imported what."""
    announce(
        connection,
        KeystoreImported(
            requested_by=requested_by,
            job_id=job_id,
            format=plan.format,
            certificates=[each.unique_name for each in plan.entries],
        ),
        organization_id=organization_id,
        subject=subject,
    )
    record(
        connection,
        action="keystore.import",
        object_name=subject,
        organization_id=organization_id,
        after={
            "format": plan.format,
            "certificates": [each.unique_name for each in plan.entries],
        },
    )
