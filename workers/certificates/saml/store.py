"""SAML configurations: kept, listed, and how far each has come. SQL only."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from workers.certificates.candidates import find_successor, load_candidates
from workers.certificates.locking import lock_organization
from workers.certificates.names import check_unique_name
from workers.certificates.replacement.plan import VersionRef
from workers.certificates.replacement.successor import (
    SAML_PLACE,
    reason_against_use,
    reasons_against_signing,
)
from workers.certificates.saml.addresses import check_assertion_consumer_url, check_entity_id
from workers.certificates.saml.checking import CheckState, after_completing, after_trying
from workers.certificates.usages import add_usage
from workers.database.pool import Connection
from workers.errors import ConflictError, NotFoundError


@dataclass(frozen=True, kw_only=True)
class SamlConfiguration:
    """A configuration, the version that signs its requests, and the replacement it takes part in.

    ``step`` is how far it is in ``replacement_id``, the replacement under way; ``switch_by`` that
    step's next deadline. Without a certificate the version's fields are None.
    """

    saml_configuration_id: int
    name: str
    entity_id: str
    assertion_consumer_url: str
    check_state: str
    checked_at: datetime
    version_id: int | None
    unique_name: str | None
    version_number: int | None
    not_after: datetime | None
    uses_retired_default: bool
    replacement_id: int | None
    step: str | None
    switch_by: datetime | None
    other_version_id: int | None


def add_configuration(
    connection: Connection,
    *,
    organization_id: int,
    name: str,
    entity_id: str,
    assertion_consumer_url: str,
    certificate: VersionRef,
    now: datetime,
) -> int:
    """Keep a configuration whose requests a certificate of the organization signs; return its id.

    Raises:
        NotFoundError: there is no such certificate or version.
        InvalidRequestError: a field breaks its rule.
        ConflictError: the name is taken, there is one already and multiple ones are not enabled,
            or the certificate cannot sign, being the retired default for one (rule 65).
    """
    name = check_unique_name(name)
    values = {
        "organization_id": organization_id,
        "name": name,
        "entity_id": check_entity_id(entity_id),
        "assertion_consumer_url": check_assertion_consumer_url(assertion_consumer_url),
    }
    with connection.transaction():
        lock_organization(connection, organization_id)
        row = connection.execute(
            """
            SELECT EXISTS (SELECT FROM keywright.saml_configuration
                            WHERE organization_id = %(organization_id)s)
               AND NOT EXISTS (SELECT FROM keywright.saml_multiple
                                WHERE organization_id = %(organization_id)s)
            """,
            values,
        ).fetchone()
        if row is not None and row[0]:
            raise ConflictError(
                "There is a SAML configuration already; `keywright saml enable-multiple` lets the"
                " organization have more."
            )
        version_id = version_that_signs(connection, organization_id, certificate, now=now)
        ref = load_candidates(connection, [version_id])[version_id].ref
        try:
            with connection.transaction():
                row = connection.execute(
                    """
                    INSERT INTO keywright.saml_configuration
                           (organization_id, name, entity_id, assertion_consumer_url)
                    VALUES (%(organization_id)s, %(name)s, %(entity_id)s,
                            %(assertion_consumer_url)s)
                    RETURNING saml_configuration_id
                    """,
                    values,
                ).fetchone()
        except UniqueViolation:
            raise ConflictError(
                f"There is a SAML configuration named “{name}” already; choose another name."
            ) from None
        add_usage(
            connection,
            organization_id=organization_id,
            unique_name=ref.unique_name,
            version_number=ref.version_number,
            place_kind=SAML_PLACE,
            place=name,
            now=now,
        )
    assert row is not None
    return int(row[0])


def version_that_signs(
    connection: Connection, organization_id: int, ref: VersionRef, *, now: datetime
) -> int:
    """Return the id of the version that ``ref`` names if it can sign SAML requests now.

    Raises:
        NotFoundError: there is no such certificate or version.
        ConflictError: it cannot; the text says every reason at once.
    """
    version_id = find_successor(connection, organization_id, ref)
    candidate = load_candidates(connection, [version_id])[version_id]
    reasons = reasons_against_signing(candidate)
    if unusable := reason_against_use(candidate, now=now):
        reasons.insert(0, unusable)
    if reasons:
        raise ConflictError(f"{candidate.ref} cannot sign SAML requests: {'; '.join(reasons)}.")
    return version_id


def list_configurations(
    connection: Connection, *, organization_id: int, name: str | None = None
) -> list[SamlConfiguration]:
    """Return the configurations of an organization, or the one of that name."""
    with connection.cursor(row_factory=class_row(SamlConfiguration)) as cursor:
        return cursor.execute(
            """
            SELECT saml_configuration_id, name, entity_id, assertion_consumer_url,
                   check_state::text, checked_at, usage.version_id, unique_name, version_number,
                   not_after, retired.fingerprint IS NOT NULL AS uses_retired_default,
                   staged.replacement_id, staged.step, staged.switch_by, staged.other_version_id
              FROM keywright.saml_configuration AS configuration
              LEFT JOIN keywright.usage
                     ON usage.organization_id = configuration.organization_id
                    AND place_kind = 'saml_configuration' AND place = name
              LEFT JOIN keywright.certificate_version USING (version_id)
              LEFT JOIN keywright.certificate USING (certificate_id)
              LEFT JOIN keywright.retired_default AS retired USING (fingerprint)
              LEFT JOIN LATERAL (
                   SELECT replacement_id, progress.state::text AS step, progress.switch_by,
                          CASE usage.version_id WHEN old_version_id THEN new_version_id
                                                ELSE old_version_id END AS other_version_id
                     FROM keywright.replacement
                     JOIN keywright.replacement_progress AS progress USING (replacement_id)
                    WHERE replacement.organization_id = configuration.organization_id
                      AND replacement.state = 'staged'
                      AND usage.version_id IN (old_version_id, new_version_id)
                      AND progress.place_kind = 'saml_configuration' AND progress.place = name
                      AND progress.state IS NOT NULL
                    ORDER BY replacement_id DESC
                    LIMIT 1) AS staged ON true
             WHERE configuration.organization_id = %(organization_id)s
               AND (%(name)s::text IS NULL OR lower(name) = lower(%(name)s))
             ORDER BY lower(name)
            """,
            {"organization_id": organization_id, "name": name},
        ).fetchall()


def find_configuration(
    connection: Connection, *, organization_id: int, name: str
) -> SamlConfiguration:
    """Return the configuration called ``name``, whatever its case.

    Raises:
        NotFoundError: there is none.
    """
    rows = list_configurations(connection, organization_id=organization_id, name=name)
    if not rows:
        raise NotFoundError(
            f"There is no SAML configuration named “{name}”; `keywright saml list` shows them."
        )
    return rows[0]


def record_try(
    connection: Connection, *, organization_id: int, name: str, works: bool, now: datetime
) -> CheckState:
    """Record whether sign-on begun by the service provider worked; return the state then.

    Raises:
        NotFoundError, ConflictError: there is none, or nothing to try.
    """
    with connection.transaction():
        state = after_trying(_lock(connection, organization_id, name), works=works)
        _save(connection, organization_id, name, state, now=now)
    return state


def complete(
    connection: Connection, *, organization_id: int, name: str, now: datetime
) -> CheckState:
    """Record that a configuration works, or that its identity provider has the certificate.

    Raises:
        NotFoundError, ConflictError: there is none, or it has not been tried.
    """
    with connection.transaction():
        state = after_completing(_lock(connection, organization_id, name))
        _save(connection, organization_id, name, state, now=now)
    return state


def remove_configuration(connection: Connection, *, organization_id: int, name: str) -> None:
    """Forget a configuration and its usage of a certificate.

    Raises:
        NotFoundError: there is none.
    """
    with connection.transaction():
        found = find_configuration(connection, organization_id=organization_id, name=name)
        values = {"organization_id": organization_id, "name": found.name}
        connection.execute(
            """
            DELETE FROM keywright.usage
             WHERE organization_id = %(organization_id)s
               AND place_kind = 'saml_configuration' AND place = %(name)s
            """,
            values,
        )
        connection.execute(
            """
            DELETE FROM keywright.saml_configuration
             WHERE organization_id = %(organization_id)s AND name = %(name)s
            """,
            values,
        )


def _lock(connection: Connection, organization_id: int, name: str) -> CheckState:
    row = connection.execute(
        """
        SELECT check_state::text FROM keywright.saml_configuration
         WHERE organization_id = %(organization_id)s AND lower(name) = lower(%(name)s)
           FOR NO KEY UPDATE
        """,
        {"organization_id": organization_id, "name": name},
    ).fetchone()
    if row is None:
        raise NotFoundError(
            f"There is no SAML configuration named “{name}”; `keywright saml list` shows them."
        )
    return CheckState(row[0])


def _save(
    connection: Connection, organization_id: int, name: str, state: CheckState, *, now: datetime
) -> None:
    connection.execute(
        """
        UPDATE keywright.saml_configuration SET check_state = %(state)s, checked_at = %(now)s
         WHERE organization_id = %(organization_id)s AND lower(name) = lower(%(name)s)
           AND check_state <> %(state)s
        """,
        {"organization_id": organization_id, "name": name, "state": state.value, "now": now},
    )
