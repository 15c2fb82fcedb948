"""Storing certificates whose private keys are here: new ones, and further versions. SQL only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal

from psycopg.types.json import Jsonb

from workers.certificates.locking import LockedCertificate, lock_organization
from workers.certificates.names import check_label, check_unique_name
from workers.certificates.naming import taken_names
from workers.certificates.private_keys import PrivateKeys
from workers.certificates.reading.found import FoundCertificate
from workers.certificates.silencing import silence_replaced_versions
from workers.certificates.versions import schedule_notices
from workers.database.pool import Connection
from workers.errors import ConflictError

Kind = Literal["self_signed", "ca_signed"]


@dataclass(frozen=True, kw_only=True)
class NewVersion:
    """A key pair with what is known of its certificate.

    ``private_key`` is PKCS #8 DER, ``public_key`` SubjectPublicKeyInfo DER, ``csr`` PKCS #10 DER.
    ``found`` is the certificate with its chain; None while it is not signed: then the version is
    unusable (rule 13), and ``key_algorithm`` and ``key_size`` say what the key is.
    """

    private_key: bytes = field(repr=False)
    public_key: bytes
    key_algorithm: str
    key_size: int | None
    found: FoundCertificate | None = None
    csr: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class NewCertificate:
    """A certificate to be kept, with its first version."""

    unique_name: str
    label: str
    kind: Kind
    private_key_exportable: bool
    version: NewVersion
    made_from: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class MadeCertificate:
    """What was stored."""

    certificate_id: int
    version_id: int
    unique_name: str
    version_number: int


def add_certificates(
    connection: Connection,
    private_keys: PrivateKeys,
    *,
    organization_id: int,
    certificates: Sequence[NewCertificate],
    now: datetime,
) -> list[MadeCertificate]:
    """Keep new certificates with their private keys; all of them, or none.

    Raises:
        NotFoundError: there is no such organization.
        InvalidRequestError: a label or a unique name breaks its rule.
        ConflictError: names are taken; the text lists each. Nothing is ever overwritten (rule 28).
    """
    names = [check_unique_name(each.unique_name) for each in certificates]
    labels = [check_label(each.label) for each in certificates]
    private_keys.make_ready(organization_id)
    with connection.transaction():
        lock_organization(connection, organization_id)
        refuse_taken_names(connection, organization_id, names)
        rows = connection.execute(
            """
            INSERT INTO keywright.certificate
                   (organization_id, unique_name, label, kind, private_key_exportable, made_from,
                    created_at)
            SELECT %(organization_id)s, unique_name, label, kind, exportable, made_from, %(now)s
              FROM unnest(%(names)s::text[], %(labels)s::text[],
                          %(kinds)s::keywright.certificate_kind[], %(exportable)s::boolean[],
                          %(made_from)s::jsonb[])
                   AS new (unique_name, label, kind, exportable, made_from)
            RETURNING unique_name, certificate_id
            """,
            {
                "organization_id": organization_id,
                "names": names,
                "labels": labels,
                "kinds": [each.kind for each in certificates],
                "exportable": [each.private_key_exportable for each in certificates],
                "made_from": [
                    None if each.made_from is None else Jsonb(dict(each.made_from))
                    for each in certificates
                ],
                "now": now,
            },
        ).fetchall()
        ids: dict[str, int] = dict(rows)
        version_ids = _insert(
            connection,
            private_keys,
            organization_id=organization_id,
            versions={
                ids[name]: each.version for name, each in zip(names, certificates, strict=True)
            },
            numbers=dict.fromkeys(ids.values(), 1),
            now=now,
        )
    return [
        MadeCertificate(
            certificate_id=ids[name],
            version_id=version_ids[ids[name]],
            unique_name=name,
            version_number=1,
        )
        for name in names
    ]


def add_key_version(
    connection: Connection,
    private_keys: PrivateKeys,
    *,
    organization_id: int,
    certificate: LockedCertificate,
    version: NewVersion,
    now: datetime,
) -> MadeCertificate:
    """Give a certificate, whose row the caller has locked, another version.

    A signed one takes the place of those before it: they are marked as replaced, and warn on as
    long as places have them. One that is not signed yet replaces nothing.
    """
    certificate_id = certificate.certificate_id
    row = connection.execute(
        """
        SELECT max(version_number) FROM keywright.certificate_version
         WHERE certificate_id = %(certificate_id)s
        """,
        {"certificate_id": certificate_id},
    ).fetchone()
    number = 1 + int(row[0] or 0) if row else 1
    if version.found is not None:
        mark_replaced(connection, certificate_id, now=now)
    version_ids = _insert(
        connection,
        private_keys,
        organization_id=organization_id,
        versions={certificate_id: version},
        numbers={certificate_id: number},
        now=now,
    )
    silence_replaced_versions(connection, certificate_id)
    return MadeCertificate(
        certificate_id=certificate_id,
        version_id=version_ids[certificate_id],
        unique_name=certificate.unique_name,
        version_number=number,
    )


def mark_replaced(connection: Connection, certificate_id: int, *, now: datetime) -> None:
    """Mark the signed versions of a certificate as replaced, since a newer one is there."""
    connection.execute(
        """
        UPDATE keywright.certificate_version SET replaced_at = coalesce(replaced_at, %(now)s)
         WHERE certificate_id = %(certificate_id)s AND not_after IS NOT NULL
        """,
        {"certificate_id": certificate_id, "now": now},
    )


def refuse_taken_names(connection: Connection, organization_id: int, names: Sequence[str]) -> None:
    """Pass if no certificate has one of the names, and no two of them are the same.

    Raises:
        ConflictError: the text lists each that is taken.
    """
    lowered = [name.lower() for name in names]
    taken = set(taken_names(connection, organization_id, names))
    doubled = {name for name in names if lowered.count(name.lower()) > 1}
    clashing = sorted({name for name in names if name.lower() in taken or name in doubled})
    if clashing:
        raise ConflictError(
            "unique_name: taken already: "
            + ", ".join(f"“{name}”" for name in clashing)
            + "; choose another name, or add a version to the certificate that has it."
        )


def _insert(
    connection: Connection,
    private_keys: PrivateKeys,
    *,
    organization_id: int,
    versions: Mapping[int, NewVersion],
    numbers: Mapping[int, int],
    now: datetime,
) -> dict[int, int]:
    """Insert one version per certificate id with its private key; return the versions' ids."""
    version_ids = dict(zip(versions, _new_version_ids(connection, len(versions)), strict=True))
    sealed = private_keys.seal(
        connection,
        organization_id=organization_id,
        keys={version_ids[each]: version.private_key for each, version in versions.items()},
    )
    given = list(versions.values())
    found = [each.found for each in given]
    links = [
        (certificate_id, der)
        for certificate_id, each in versions.items()
        if each.found is not None
        for der in each.found.chain
    ]
    connection.execute(
        """
        WITH chain AS (
            SELECT certificate_id, array_agg(der ORDER BY position) AS chain_der
              FROM unnest(%(link_ids)s::bigint[], %(link_ders)b::bytea[])
                   WITH ORDINALITY AS link (certificate_id, der, position)
             GROUP BY certificate_id
        )
        INSERT INTO keywright.certificate_version
               (certificate_id, version_id, organization_id, version_number, not_before, not_after,
                leaf_not_after, ends_first, serial, fingerprint, subject, issuer, key_algorithm,
                key_size, certificate_der, chain_der, csr_der, public_key_hash, private_key,
                known_since)
        OVERRIDING SYSTEM VALUE
        SELECT certificate_id, version_id, %(organization_id)s, number, not_before, not_after,
               leaf_not_after, ends_first, serial, fingerprint, subject, issuer, key_algorithm,
               key_size, der, coalesce(chain_der, '{}'), csr, public_key_hash, private_key, %(now)s
          FROM unnest(%(ids)s::bigint[], %(version_ids)s::bigint[], %(numbers)s::integer[],
                      %(not_before)s::timestamptz[],
                      %(not_after)s::timestamptz[], %(leaf_not_after)s::timestamptz[],
                      %(ends_first)s::text[], %(serials)s::text[], %(fingerprints)b::bytea[],
                      %(subjects)s::text[], %(issuers)s::text[], %(algorithms)s::text[],
                      %(sizes)s::integer[], %(ders)b::bytea[], %(csrs)b::bytea[],
                      %(hashes)b::bytea[], %(private_keys)b::bytea[])
               AS new (certificate_id, version_id, number, not_before, not_after, leaf_not_after,
                       ends_first, serial, fingerprint, subject, issuer, key_algorithm, key_size,
                       der, csr, public_key_hash, private_key)
          LEFT JOIN chain USING (certificate_id)
        """,
        {
            "organization_id": organization_id,
            "now": now,
            "ids": list(versions),
            "version_ids": list(version_ids.values()),
            "private_keys": [sealed[each] for each in version_ids.values()],
            "numbers": [numbers[each] for each in versions],
            "not_before": [each and each.not_before for each in found],
            "not_after": [each and each.not_after for each in found],
            "leaf_not_after": [each and each.leaf_not_after for each in found],
            "ends_first": [each and each.ends_first for each in found],
            "serials": [each and each.serial for each in found],
            "fingerprints": [each and each.fingerprint for each in found],
            "subjects": [each and each.subject for each in found],
            "issuers": [each and each.issuer for each in found],
            "algorithms": [each.key_algorithm for each in given],
            "sizes": [each.key_size for each in given],
            "ders": [each and each.der for each in found],
            "csrs": [each.csr for each in given],
            "hashes": [sha256(each.public_key).digest() for each in given],
            "link_ids": [certificate_id for certificate_id, _ in links],
            "link_ders": [der for _, der in links],
        },
    )
    signed = [version_ids[each] for each, version in versions.items() if version.found]
    schedule_notices(connection, signed)
    return version_ids


def _new_version_ids(connection: Connection, number: int) -> list[int]:
    """Return ids that no version has: they are part of what private keys are encrypted with."""
    rows = connection.execute(
        """
        SELECT nextval(pg_get_serial_sequence('keywright.certificate_version', 'version_id'))
          FROM generate_series(1, %(number)s)
        """,
        {"number": number},
    ).fetchall()
    return [row[0] for row in rows]
