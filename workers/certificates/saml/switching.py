"""Letting a configuration sign with another certificate: as a replacement has it, or at once."""

from dataclasses import dataclass
from datetime import datetime

from workers.certificates.replacement.moves import advance
from workers.certificates.replacement.plan import Place, StepState, VersionRef
from workers.certificates.replacement.successor import SAML_PLACE
from workers.certificates.saml.store import find_configuration, version_that_signs
from workers.certificates.saml_switching import select_certificate
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError


@dataclass(frozen=True, kw_only=True)
class SwitchedConfiguration:
    """The version that signs now; ``replacement_id``: as part of that replacement."""

    name: str
    unique_name: str
    version_number: int
    replacement_id: int | None


def switch_configuration(
    connection: Connection,
    *,
    organization_id: int,
    name: str,
    certificate: VersionRef | None,
    actor: str,
    now: datetime,
) -> SwitchedConfiguration:
    """Let a configuration sign with its successor, or with ``certificate``.

    Where its certificate is being replaced, it takes its step of that, once it publishes both.
    Otherwise it switches at once, and the identity provider needs the certificate at once.

    Raises:
        NotFoundError: there is no such configuration, certificate or version.
        InvalidRequestError: nothing is being replaced and no certificate is named.
        ConflictError: it does not publish both yet, the certificate cannot sign, or another one
            is to take over.
    """
    with connection.transaction():
        found = find_configuration(connection, organization_id=organization_id, name=name)
        if found.replacement_id is not None:
            switched = found.step in ("switched", "retired")
            successor = found.version_id if switched else found.other_version_id
            wanted = certificate and version_that_signs(
                connection, organization_id, certificate, now=now
            )
            if wanted not in (None, successor):
                raise ConflictError(
                    f"The certificate of “{found.name}” is being replaced by another one, in"
                    f" replacement {found.replacement_id}; finish it or roll it back first."
                )
            advance(
                connection,
                organization_id=organization_id,
                replacement_id=found.replacement_id,
                to=StepState.SWITCHED,
                places=[Place(SAML_PLACE, found.name)],
                actor=actor,
                now=now,
            )
        elif certificate is None:
            raise InvalidRequestError(
                "certificate: nothing is being replaced here, so say which one it is to have; or"
                " start a replacement first, so that both are published meanwhile."
            )
        else:
            select_certificate(
                connection,
                organization_id=organization_id,
                name=found.name,
                certificate=certificate,
                actor=actor,
                now=now,
            )
        after = find_configuration(connection, organization_id=organization_id, name=name)
    assert after.unique_name is not None
    assert after.version_number is not None
    return SwitchedConfiguration(
        name=after.name,
        unique_name=after.unique_name,
        version_number=after.version_number,
        replacement_id=found.replacement_id,
    )
