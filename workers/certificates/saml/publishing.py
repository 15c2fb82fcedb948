"""From a configuration to its signed metadata."""

import uuid
from datetime import datetime

from workers.certificates.candidates import load_candidates
from workers.certificates.private_keys import NoPrivateKeyError, PrivateKeys
from workers.certificates.saml.metadata import Publication, ServiceProvider, signed_metadata
from workers.certificates.saml.store import find_configuration
from workers.database.pool import Connection
from workers.errors import ConflictError

USUAL_VALID_DAYS = 14


def publish_metadata(
    connection: Connection,
    private_keys: PrivateKeys,
    *,
    organization_id: int,
    name: str,
    now: datetime,
    valid_days: int = USUAL_VALID_DAYS,
) -> bytes:
    """Return the signed metadata of a configuration, with both keys while it accepts both.

    Raises:
        NotFoundError: there is no such configuration.
        ConflictError: it has no certificate, or one that cannot sign (rule 65 for one).
        InvalidRequestError: ``valid_days`` is out of range.
        RootKeyUnavailableError: the master key cannot be unwrapped right now.
    """
    found = find_configuration(connection, organization_id=organization_id, name=name)
    if found.version_id is None or found.uses_retired_default:
        raise ConflictError(
            f"“{found.name}” has {'no' if found.version_id is None else 'the retired default'}"
            " certificate; `keywright saml switch` gives it one of the organization."
        )
    published = [found.version_id]
    if found.other_version_id is not None and found.step in ("overlapping", "switched"):
        published.append(found.other_version_id)
    candidates = load_candidates(connection, published)
    keys = private_keys.load(
        connection, organization_id=organization_id, version_ids=[found.version_id]
    )
    if found.version_id not in keys:
        raise NoPrivateKeyError(
            f"The private key of {candidates[found.version_id].ref} is not here, so “{found.name}”"
            " signs nothing."
        )
    ders = [candidates[version_id].certificate_der for version_id in published]
    publication = Publication(
        provider=ServiceProvider(
            entity_id=found.entity_id, assertion_consumer_url=found.assertion_consumer_url
        ),
        certificates=[der for der in ders if der is not None],
        switch_by=found.switch_by if found.step == "overlapping" else None,
        valid_days=valid_days,
        document_id=f"_{uuid.uuid4().hex}",
    )
    return signed_metadata(publication, key=keys[found.version_id], now=now)
