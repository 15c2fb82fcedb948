"""Starting a replacement whose successor is a new key pair, made on the way."""

from dataclasses import dataclass
from datetime import datetime

from workers.certificates.candidates import find_successor, load_candidates
from workers.certificates.issuance.drafts import Draft, Order, carry_out
from workers.certificates.issuing import keep, newest_version
from workers.certificates.ordering import order_rekey
from workers.certificates.replacement.plan import VersionRef
from workers.certificates.replacement.store import Started, start
from workers.certificates.replacement_rows import find_in_the_way
from workers.certificates.tools import CertificateTools
from workers.contract.certificates import IssuedCertificate, RekeyCertificate
from workers.contract.replacement import StartReplacement
from workers.database.pool import Connection
from workers.errors import InvalidRequestError


@dataclass(frozen=True, kw_only=True)
class StartedOrWaiting:
    """A replacement; or, without one, the new version that a CA has to sign first."""

    started: Started | None
    successor: IssuedCertificate | None


def check_request(request: StartReplacement) -> None:
    """Pass if what is asked for can be meant.

    Raises:
        InvalidRequestError: the successor is named and to be made, too.
    """
    if request.rekey and (request.successor or request.successor_version):
        raise InvalidRequestError(
            "rekey: makes the next version of the same certificate, so leave the successor out."
        )


def order_successor(
    connection: Connection, request: StartReplacement, *, organization_id: int
) -> Order | None:
    """Return what the new key pair is to be; None: none is wanted, or somebody else has made it.

    Raises:
        NotFoundError, ConflictError: as ``order_rekey``; or a replacement is under way.
    """
    if not request.rekey:
        return None
    newest = find_successor(
        connection, organization_id, VersionRef(unique_name=request.certificate)
    )
    number = load_candidates(connection, [newest])[newest].ref.version_number
    expected = request.version_number or number
    if expected == number:
        find_in_the_way(connection, old_id=newest, new_id=None)
    return order_rekey(
        connection,
        RekeyCertificate(unique_name=request.certificate, expected_version=expected),
        organization_id=organization_id,
    )


def draft_successor(order: Order | None, tools: CertificateTools, *, now: datetime) -> Draft | None:
    """Make the key pair that was ordered, which may take a while; nothing is held meanwhile."""
    if order is None:
        return None
    return carry_out(order, now=now, usual_caps=tools.lifetime_caps)


def start_with(
    connection: Connection,
    tools: CertificateTools,
    request: StartReplacement,
    draft: Draft | None,
    *,
    organization_id: int,
    requested_by: str,
    now: datetime,
) -> StartedOrWaiting:
    """Keep the successor, if one was made, and start the replacement; both or neither.

    A successor that a CA has to sign is kept, and nothing is started before it is signed.

    Raises:
        NotFoundError, InvalidRequestError, ConflictError: as ``start``.
    """
    with connection.transaction():
        successor = None
        if draft is not None:
            successor = keep(connection, tools, draft, now=now, requested_by=requested_by)
        elif request.rekey:
            successor = newest_version(connection, organization_id, request.certificate)
        if successor is not None and successor.not_after is None:
            return StartedOrWaiting(started=None, successor=successor)
        started = start_named(
            connection,
            request,
            organization_id=organization_id,
            successor_version=None if successor is None else successor.version_number,
            requested_by=requested_by,
            now=now,
        )
    return StartedOrWaiting(started=started, successor=successor)


def start_named(
    connection: Connection,
    request: StartReplacement,
    *,
    organization_id: int,
    requested_by: str,
    now: datetime,
    successor_version: int | None = None,
) -> Started:
    """Start what is asked for with a successor that is there.

    Raises:
        NotFoundError, InvalidRequestError, ConflictError: as ``start``.
    """
    return start(
        connection,
        organization_id=organization_id,
        old=VersionRef(unique_name=request.certificate, version_number=request.version_number),
        new=VersionRef(
            unique_name=request.successor or request.certificate,
            version_number=successor_version or request.successor_version,
        ),
        overlap_by=request.overlap_by,
        switch_by=request.switch_by,
        retire_by=request.retire_by,
        requested_by=requested_by,
        reason=request.reason,
        now=now,
    )
