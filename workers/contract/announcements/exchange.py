"""What is announced of certificates and keys that come and leave as files."""

from typing import ClassVar

from workers.contract.announcements.happened import Happened


class KeystoreExported(Happened):
    """Certificates left in a keystore; every private key that left with them is named."""

    of_kind: ClassVar[str] = "keystore.exported"
    about: ClassVar[str] = "artifact/6f1f3c7e-1c5f-4e59-9f0a-0c9f5d4f8a01"

    requested_by: str
    job_id: int | None
    format: str
    certificates: int
    private_keys: list[str]


class KeystoreImported(Happened):
    """Certificates came in a keystore."""

    of_kind: ClassVar[str] = "keystore.imported"
    about: ClassVar[str] = "artifact/6f1f3c7e-1c5f-4e59-9f0a-0c9f5d4f8a01"

    requested_by: str
    job_id: int | None
    format: str
    certificates: list[str]


class ArtifactDeleted(Happened):
    """A file was removed before its time because somebody asked for that."""

    of_kind: ClassVar[str] = "artifact.deleted"
    about: ClassVar[str] = "artifact/6f1f3c7e-1c5f-4e59-9f0a-0c9f5d4f8a01"

    requested_by: str


class ApiClientConfigured(Happened):
    """A program's configuration for mutual TLS was written."""

    of_kind: ClassVar[str] = "api_client.configured"
    about: ClassVar[str] = "certificate-version/40"

    unique_name: str
    version_number: int
    program: str
    private_key_left: bool
    place: str | None
    by: str
