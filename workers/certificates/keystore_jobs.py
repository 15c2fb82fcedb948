"""``keystore.export`` and ``keystore.import``."""

from datetime import datetime, timedelta
from uuid import UUID

from pydantic import BaseModel

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
from workers.contract.keystores import ExportKeystore, ImportKeystore
from workers.database.pool import Connection
from workers.errors import InvalidRequestError
from workers.jobs.running import RunningJob

_MOST_NAMES = 100
_MOST_FAULTS = 1000


class ExportedKeystore(BaseModel):
    """The artifact that holds the keystore, and what is in it.

    ``without_private_key`` and ``unsigned`` name at most a hundred each: certificates in it without
    their keys, and certificates that are not in it since they are not signed yet.
    """

    artifact: UUID
    file_name: str
    size_bytes: int
    certificates: int
    private_keys: int
    without_private_key: list[str]
    unsigned: list[str]


class ImportedEntry(BaseModel):
    """A private key of the keystore, and what became or would become of it.

    ``same_as`` is another certificate of the organization that is the very same.
    """

    alias: str
    unique_name: str
    kind: str
    key: str
    not_after: datetime
    same_as: str | None


class FoundFault(BaseModel):
    """Something that stands against the import; without an alias, it is the file as a whole."""

    alias: str | None
    code: str
    fault: str


class ImportedKeystore(BaseModel):
    """What a keystore holds and what was taken in; with ``imported`` False, nothing was."""

    imported: bool
    format: str
    entries: list[ImportedEntry]
    left_out: list[str]
    faults: list[FoundFault]


def export_keystore(
    request: ExportKeystore, job: RunningJob, *, tools: CertificateTools
) -> ExportedKeystore:
    """Write a keystore and keep it as an artifact for who asked.

    The artifact, the end of the passwords and the end of the job are one transaction.
    """
    organization_id = _organization_id(job, request.kind)
    passwords = _take_passwords(
        job.connection, tools, organization_id, request.password, request.key_password
    )
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
        requested_by=request.requested_by,
        expires_at=job.now + timedelta(hours=request.keep_hours),
        job_id=job.job_id,
    )
    _use_up(job.connection, organization_id, request.password, request.key_password)
    announce_export(
        job.connection,
        contents,
        organization_id=organization_id,
        subject=f"artifact/{artifact_id}",
        requested_by=request.requested_by,
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
        passwords = _take_passwords(
            connection, tools, organization_id, request.password, request.key_password
        )
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
        requested_by=request.requested_by,
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
    store: UUID | None,
    key: UUID | None,
) -> Passwords:
    def take(secret_id: UUID | None) -> str | None:
        if secret_id is None:
            return None
        return take_secret(
            connection, tools.cipher, organization_id=organization_id, secret_id=secret_id
        )

    return Passwords(store=take(store), key=take(key))


def _use_up(connection: Connection, organization_id: int, *secret_ids: UUID | None) -> None:
    mark_used(
        connection,
        organization_id=organization_id,
        secret_ids=[each for each in secret_ids if each is not None],
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
