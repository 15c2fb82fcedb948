"""What is announced of mutual TLS."""

from typing import ClassVar

from workers.contract.announcements.happened import Happened, Moment


class MutualTlsEnabled(Happened):
    """Mutual authentication was switched on in an organization."""

    of_kind: ClassVar[str] = "mutual_tls.enabled"
    about: ClassVar[str] = "organization/7"

    by: str


class MutualTlsDisabled(Happened):
    """Mutual authentication was switched off in an organization."""

    of_kind: ClassVar[str] = "mutual_tls.disabled"
    about: ClassVar[str] = "organization/7"

    by: str


class ClientAccepted(Happened):
    """A client's certificate is accepted."""

    of_kind: ClassVar[str] = "mutual_tls.accepted"
    about: ClassVar[str] = "certificate-version/40"

    unique_name: str
    version_number: int
    fingerprint: str
    not_after: Moment
    member_id: int | None
    by: str


class ClientWithdrawn(Happened):
    """A client's certificate is accepted no more."""

    of_kind: ClassVar[str] = "mutual_tls.withdrawn"
    about: ClassVar[str] = "certificate-version/40"

    unique_name: str
    version_number: int
    fingerprint: str
    by: str


class RootTrusted(Happened):
    """Clients' certificates may lead to this root."""

    of_kind: ClassVar[str] = "mutual_tls.root_trusted"
    about: ClassVar[str] = f"root/{'5e' * 32}"

    subject: str
    is_public: bool
    by: str


class RootRemoved(Happened):
    """A root is trusted no more, nor is any of the clients below it."""

    of_kind: ClassVar[str] = "mutual_tls.root_removed"
    about: ClassVar[str] = f"root/{'5e' * 32}"

    subject: str
    clients: int
    by: str
