"""Jobs on keystores. Passwords and files are handed over before, and only named here."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from workers.contract.request import JobRequest, Queue

Actor = Annotated[str, Field(pattern=r"^[a-z][a-z_]*:[A-Za-z0-9._-]{1,100}$")]
"""Who asks, such as "member:12" or "system:crm"; they may fetch what is made."""

UniqueName = Annotated[str, Field(min_length=1, max_length=64)]


class ExportKeystore(JobRequest):
    """Write certificates into one keystore, private keys only of exportable ones (rule 23).

    Without ``certificates`` it is all of the organization. ``truststore`` leaves out every private
    key. ``password`` and, for JKS, ``key_password`` are ids of handed secrets. The artifact that
    the result names is kept for ``keep_hours``.
    """

    kind: ClassVar[str] = "keystore.export"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    time_limit_seconds: ClassVar[float] = 300

    requested_by: Actor
    password: UUID | None = None
    key_password: UUID | None = None
    format: Literal["pkcs12", "jks", "pem"] = "pkcs12"
    truststore: bool = False
    certificates: Annotated[tuple[UniqueName, ...], Field(max_length=1000)] = ()
    keep_hours: Annotated[int, Field(ge=1, le=720)] = 24


class ImportKeystore(JobRequest):
    """Take the private keys of a keystore in with their certificates; all of them, or none.

    ``artifact`` is the file, ``password`` and ``key_password`` are handed secrets. An alias becomes
    the unique name in lower case, unless ``names`` says another. ``strict`` refuses what the model
    refuses: other formats than JKS, other keys than RSA, keys with passwords of their own. With
    ``dry_run`` every fault is in the result, nothing is taken in and nothing is used up.
    """

    kind: ClassVar[str] = "keystore.import"
    queue: ClassVar[Queue] = Queue.CERTIFICATES
    time_limit_seconds: ClassVar[float] = 300

    requested_by: Actor
    artifact: UUID
    password: UUID
    key_password: UUID | None = None
    names: Annotated[dict[str, UniqueName], Field(max_length=1000)] = Field(default_factory=dict)
    private_keys_exportable: bool = True
    strict: bool = False
    dry_run: bool = False


class PurgeHandover(JobRequest):
    """Remove the values of handed secrets and the contents of artifacts whose time is up."""

    kind: ClassVar[str] = "handover.purge"
    queue: ClassVar[Queue] = Queue.MAINTENANCE
    time_limit_seconds: ClassVar[float] = 600
