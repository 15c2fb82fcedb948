"""``keystore.export`` and ``keystore.import``."""

from datetime import timedelta

from workers.audit.recording import record
from workers.certificates.handover import (
    drop_artifact,
    keep_artifact,
    mark_used,
    read_artifact,
    take_secret,
)
from workers.certificates.keystore_announcements import announce_export, announce_import
from workers.certificates.keystore_export import (
    MEDIA_TYPES,
    Passwords,
    check_passwords,
    collect_contents,
    file_name_for,
    write_contents,
)
from workers.certificates.keystore_import import (
    ImportOptions,
    ImportPlan,
    KeystoreRefusedError,
    import_planned,
    plan_import,
)
from workers.certificates.keystores.reading import read_keystore
from workers.certificates.tools import CertificateTools
from workers.contract.keystores import (
    ExportedKeystore,
    ExportKeystore,
    FoundFault,
    ImportedEntry,
    ImportedKeystore,
    ImportKeystore,
)
from workers.contract.secrets import reference_in
from workers.database.pool import Connection
from workers.errors import InvalidRequestError
from workers.jobs.running import RunningJob

_MOST_NAMES = 100
_MOST_FAULTS = 1000


def export_keystore(
    request: ExportKeystore, job: RunningJob, *, tools: CertificateTools
) -> ExportedKeystore:
    """Write a keystore and keep it as an artifact for who asked.

    The artifact, the end of the passwords and the end of the job are one transaction.
    """
    organization_id = _organization_id(job, request.kind)
    # Committed by itself: that a secret was read is on record whatever becomes of the job.
    with job.checkpoint() as connection:
        passwords = _take_passwords(connection, tools, organization_id, request)
    check_passwords(passwords, store_format=request.format, truststore=request.truststore)
    contents = collect_contents(
        job.connection,
        tools.private_keys,
        organization_id=organization_id,
        unique_names=request.certificates,
        truststore=request.truststore,
    )
    # No transaction is kept open while the keystore is written.
    job.release()
    job.stop_if_asked()
    data = write_contents(
        contents, passwords, store_format=request.format, truststore=request.truststore
    )
    job.stop_if_asked()
    file_name = file_name_for(request.format, truststore=request.truststore)
    artifact_id = keep_artifact(
        job.connection,
        tools.cipher,
        organization_id=organization_id,
        purpose="keystore_export",
        file_name=file_name,
        media_type=MEDIA_TYPES[request.format],
        content=data,
        requested_by=request.requested_by or job.requested_by,
        expires_at=job.now + timedelta(hours=request.keep_hours),
        job_id=job.job_id,
    )
    _use_up(job.connection, organization_id, request.password, request.key_password)
    announce_export(
        job.connection,
        contents,
        organization_id=organization_id,
        subject=f"artifact/{artifact_id}",
        requested_by=request.requested_by or job.requested_by,
        store_format=request.format,
        job_id=job.job_id,
    )
    without_key = [each.unique_name for each in contents.entries if each.why_no_key is not None]
    return ExportedKeystore(
        artifact=artifact_id,
        file_name=file_name,
        size_bytes=len(data),
        certificates=len(contents.entries),
        private_keys=len(contents.keys),
        without_private_key=without_key[:_MOST_NAMES],
        unsigned=list(contents.unsigned[:_MOST_NAMES]),
    )


def import_keystore(
    request: ImportKeystore, job: RunningJob, *, tools: CertificateTools
) -> ImportedKeystore:
    """Take a keystore in, in the transaction that ends the job; or say what stands against it.

    After that the file and its passwords are gone. A dry run leaves them for the import.
    """
    organization_id = _organization_id(job, request.kind)
    with job.checkpoint() as connection:
        passwords = _take_passwords(connection, tools, organization_id, request)
        artifact = read_artifact(
            connection,
            tools.cipher,
            organization_id=organization_id,
            artifact_id=request.artifact,
            purpose="keystore_import",
            job_id=job.job_id,
        )
    reading = read_keystore(
        artifact.content, store_password=passwords.store or "", key_password=passwords.key
    )
    job.stop_if_asked()
    with tools.ledger.connection() as connection:
        plan = plan_import(
            connection,
            reading,
            ImportOptions(
                names=request.names,
                private_keys_exportable=request.private_keys_exportable,
                strict=request.strict,
            ),
            organization_id=organization_id,
        )
    if request.dry_run:
        return report(plan, imported=False)
    if plan.faults:
        raise KeystoreRefusedError(plan.faults)
    import_planned(
        job.connection,
        tools.private_keys,
        plan,
        organization_id=organization_id,
        now=job.now,
    )
    _use_up(job.connection, organization_id, request.password, request.key_password)
    drop_artifact(job.connection, organization_id=organization_id, artifact_id=request.artifact)
    announce_import(
        job.connection,
        plan,
        organization_id=organization_id,
        subject=f"artifact/{request.artifact}",
        requested_by=request.requested_by or job.requested_by,
        job_id=job.job_id,
    )
    return report(plan, imported=True)


def _organization_id(job: RunningJob, kind: str) -> int:
    if job.organization_id is None:
        raise InvalidRequestError(f"organization: {kind} is asked for one organization.")
    return job.organization_id


def _take_passwords(
    connection: Connection,
    tools: CertificateTools,
    organization_id: int,
    request: ExportKeystore | ImportKeystore,
) -> Passwords:
    def take(secret: str | None, argument: str) -> str | None:
        if secret is None:
            return None
        reference = reference_in(secret)
        if reference is None:
            return tools.unsealer.open(
                connection,
                secret,
                organization_id=organization_id,
                kind=request.kind,
                argument=argument,
            )
        taken = take_secret(
            connection, tools.cipher, organization_id=organization_id, secret_id=reference
        )
        record(
            connection,
            action="handed_secret.open",
            object_name=f"handed-secret/{reference}",
            organization_id=organization_id,
            after={"kind": request.kind, "argument": argument},
        )
        return taken

    return Passwords(
        store=take(request.password, "password"), key=take(request.key_password, "key_password")
    )


def _use_up(connection: Connection, organization_id: int, *secrets: str | None) -> None:
    mark_used(
        connection,
        organization_id=organization_id,
        secret_ids=[each for each in map(reference_in, secrets) if each is not None],
    )


def report(plan: ImportPlan, *, imported: bool) -> ImportedKeystore:
    """Return what was or would be imported, and all that stands against it."""
    return ImportedKeystore(
        imported=imported,
        format=plan.format,
        entries=[
            ImportedEntry(
                alias=each.alias,
                unique_name=each.unique_name,
                kind=each.kind,
                key=each.key,
                not_after=each.not_after,
                same_as=each.same_as,
            )
            for each in plan.entries
        ],
        left_out=list(plan.left_out[:_MOST_NAMES]),
        faults=[
            FoundFault(alias=each.alias, code=each.code, fault=str(each))
            for each in plan.faults[:_MOST_FAULTS]
        ],
    )
