"""Jobs on keystores. Files are handed over before; passwords, too, or they come sealed."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from workers.contract.request import JobRequest, Queue
from workers.contract.secrets import Secret

Actor = Annotated[str, Field(pattern=r"^[a-z][a-z_]*:[A-Za-z0-9._-]{1,100}$")]
"""Who asks, such as "member:12"; they may fetch what is made. Without it, who asked for the job."""

UniqueName = Annotated[str, Field(min_length=1, max_length=64)]


class PurgedHandover(BaseModel):
    """How many values and contents were removed."""

    secrets: int
    artifacts: int


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


class ExportKeystore(JobRequest):
    """Write certificates into one keystore, private keys only of exportable ones (rule 23).

    Without ``certificates`` it is all of the organization. ``truststore`` leaves out every private
    key. ``password`` and, for JKS, ``key_password`` are secrets. The artifact that
    the result names is kept for ``keep_hours``.
    """

    # A password that came by mistake is not repeated.
    model_config = ConfigDict(hide_input_in_errors=True)

    kind: ClassVar[str] = "keystore.export"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    for_requesters: ClassVar[bool] = True
    result: ClassVar[type[BaseModel] | None] = ExportedKeystore
    problems: ClassVar[tuple[str, ...]] = ("no-private-key", "keystore", "sealed-secret")
    most_bytes: ClassVar[int] = 256 * 1024
    time_limit_seconds: ClassVar[float] = 300

    requested_by: Actor | None = None
    password: Secret | None = None
    key_password: Secret | None = None
    format: Literal["pkcs12", "jks", "pem"] = "pkcs12"
    truststore: bool = False
    certificates: Annotated[tuple[UniqueName, ...], Field(max_length=1000)] = ()
    keep_hours: Annotated[int, Field(ge=1, le=720)] = 24


class ImportKeystore(JobRequest):
    """Take the private keys of a keystore in with their certificates; all of them, or none.

    ``artifact`` is the file, ``password`` and ``key_password`` are secrets. An alias becomes
    the unique name in lower case, unless ``names`` says another. ``strict`` refuses what the model
    refuses: other formats than JKS, other keys than RSA, keys with passwords of their own. With
    ``dry_run`` every fault is in the result, nothing is taken in and nothing is used up.
    """

    # A password that came by mistake is not repeated.
    model_config = ConfigDict(hide_input_in_errors=True)

    kind: ClassVar[str] = "keystore.import"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    for_requesters: ClassVar[bool] = True
    result: ClassVar[type[BaseModel] | None] = ImportedKeystore
    problems: ClassVar[tuple[str, ...]] = ("keystore", "keystore-refused", "sealed-secret")
    most_bytes: ClassVar[int] = 256 * 1024
    time_limit_seconds: ClassVar[float] = 300

    requested_by: Actor | None = None
    artifact: UUID
    password: Secret
    key_password: Secret | None = None
    names: Annotated[dict[str, UniqueName], Field(max_length=1000)] = Field(default_factory=dict)
    private_keys_exportable: bool = True
    strict: bool = False
    dry_run: bool = False


class PurgeHandover(JobRequest):
    """Remove the values of handed secrets and the contents of artifacts whose time is up."""

    kind: ClassVar[str] = "handover.purge"
    queue: ClassVar[Queue] = Queue.MAINTENANCE
    result: ClassVar[type[BaseModel] | None] = PurgedHandover
    time_limit_seconds: ClassVar[float] = 600
