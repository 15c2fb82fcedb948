"""What is announced of replacements: ids, names and dates."""

from collections.abc import Mapping, Sequence
from typing import Any

from workers.certificates.announcing import announce, announce_many
from workers.certificates.replacement.plan import Place, StepState, VersionRef, uses_new
from workers.database.pool import Connection


def tell(
    connection: Connection,
    *,
    kind: str,
    organization_id: int,
    replacement_id: int,
    old: VersionRef,
    new: VersionRef,
    data: Mapping[str, Any],
) -> None:
    """Announce what became of a replacement."""
    announce(
        connection,
        kind=kind,
        organization_id=organization_id,
        subject=f"replacement/{replacement_id}",
        data={**_versions(old, new), **data},
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
    """Announce where places have come from and to: ``certificate.switched`` if they use another."""
    if moves:
        announce_many(
            connection,
            organization_id=organization_id,
            subject=f"replacement/{replacement_id}",
            happened=[
                (
                    "certificate.switched"
                    if uses_new(before) != uses_new(after)
                    else "certificate.replacement_moved",
                    {
                        **_versions(old, new),
                        "place_kind": place.kind,
                        "place": place.name,
                        "from": before.value,
                        "to": after.value,
                        "actor": actor,
                    },
                )
                for place, before, after in moves
            ],
        )


def _versions(old: VersionRef, new: VersionRef) -> dict[str, Any]:
    return {
        "old": {"unique_name": old.unique_name, "version_number": old.version_number},
        "new": {"unique_name": new.unique_name, "version_number": new.version_number},
    }
