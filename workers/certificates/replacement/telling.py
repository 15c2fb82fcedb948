"""What is announced of replacements: ids, names and dates."""

from collections.abc import Sequence

from workers.announcements.store import announce, announce_many
from workers.certificates.replacement.plan import Place, StepState, VersionRef, uses_new
from workers.contract.announcements import (
    CertificateReplaced,
    CertificateSwitched,
    NamedVersion,
    ReplacementMoved,
    ReplacementRolledBack,
    ReplacementStarted,
)
from workers.database.pool import Connection


def tell(
    connection: Connection,
    told: CertificateReplaced | ReplacementRolledBack | ReplacementStarted,
    *,
    organization_id: int,
    replacement_id: int,
) -> None:
    """Announce what became of a replacement."""
    announce(
        connection,
        told,
        organization_id=organization_id,
        subject=f"replacement/{replacement_id}",
    )


def tell_moves(
    connection: Connection,
    *,
    organization_id: int,
    replacement_id: int,
    old: VersionRef,
    new: VersionRef,
    moves: Sequence[tuple[Place, StepState, StepState]],
    actor: str,
) -> None:
    """Announce where places have come from and to: whether they use the other one, or not yet."""
    if moves:
        announce_many(
            connection,
            [
                (CertificateSwitched if uses_new(before) != uses_new(after) else ReplacementMoved)(
                    old=named(old),
                    new=named(new),
                    place_kind=place.kind,
                    place=place.name,
                    from_=before.value,
                    to=after.value,
                    actor=actor,
                )
                for place, before, after in moves
            ],
            organization_id=organization_id,
            subject=f"replacement/{replacement_id}",
        )


def named(version: VersionRef) -> NamedVersion:
    """Return a version as announcements name it."""
    return NamedVersion(unique_name=version.unique_name, version_number=version.version_number)
