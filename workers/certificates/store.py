"""Keeping what was read as new certificates, thousands at once. SQL only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from workers.certificates.locking import lock_organization
from workers.certificates.names import check_label, check_unique_name, label_from, unique_name_from
from workers.certificates.naming import free_names, taken_names
from workers.certificates.reading.found import FoundCertificate
from workers.certificates.recognition import known_certificates
from workers.certificates.versions import insert_versions
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError

# Of certificates per statement: what one statement carries must stay below 1 GiB.
_BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class ImportedCertificate:
    """A new certificate with its first version, and which entry of which file it was."""

    source: str
    position: int
    certificate_id: int
    version_id: int
    unique_name: str
    label: str
    not_after: datetime


@dataclass(frozen=True, kw_only=True)
class DuplicateCertificate:
    """An entry that was not kept, since the certificate ``unique_name`` is the very same.

    ``first_source`` and ``first_position`` say which entry was kept in its stead; they are None
    where the certificate had been there before this import.
    """

    source: str
    position: int
    unique_name: str
    first_source: str | None
    first_position: int | None


@dataclass(frozen=True)
class SavedImport:
    """What became of every certificate handed over, each list in their order."""

    imported: tuple[ImportedCertificate, ...]
    duplicates: tuple[DuplicateCertificate, ...]


def save_imported(
    connection: Connection,
    *,
    organization_id: int,
    found: Sequence[FoundCertificate],
    now: datetime,
    known_since: datetime | None = None,
    label: str | None = None,
    unique_name: str | None = None,
) -> SavedImport:
    """Keep each certificate under a name of its own, unless the organization has it already.

    A certificate is recognised by its fingerprint, among all versions of certificates that are not
    deleted. Tiers that were due before ``known_since`` (default: ``now``; earlier for who takes
    over an inventory) are never told. ``label`` and ``unique_name`` name a single certificate;
    without them names come from the certificates. All are kept, or none.

    Raises:
        NotFoundError: there is no such organization.
        InvalidRequestError: ``label`` or ``unique_name`` breaks its rule, or names more than one.
        ConflictError: ``unique_name`` is taken.
    """
    _check_names(label, unique_name, number=len(found))
    with connection.transaction():
        lock_organization(connection, organization_id)
        fingerprints = [each.fingerprint for each in found]
        known = known_certificates(connection, organization_id, fingerprints)
        kept = {
            fingerprint: place
            for place, fingerprint in reversed([*enumerate(fingerprints)])
            if fingerprint not in known
        }
        firsts = [found[place] for place in sorted(kept.values())]
        labels = [label or label_from(each.display_name) for each in firsts]
        if unique_name is None:
            wanted = [unique_name_from(each) for each in labels]
            names = free_names(connection, organization_id, wanted)
        else:
            names = [unique_name] * len(firsts)
            _check_is_free(connection, organization_id, names)
        imported: list[ImportedCertificate] = []
        for start in range(0, len(firsts), _BATCH):
            batch = slice(start, start + _BATCH)
            imported += _insert(
                connection,
                organization_id=organization_id,
                found=dict(zip(names[batch], firsts[batch], strict=True)),
                labels=labels[batch],
                now=now,
                known_since=known_since or now,
            )
    known |= {each.fingerprint: name for each, name in zip(firsts, names, strict=True)}
    return SavedImport(tuple(imported), _duplicates(found, kept, known))


def _check_names(label: str | None, unique_name: str | None, *, number: int) -> None:
    if label is not None:
        check_label(label)
    if unique_name is not None:
        check_unique_name(unique_name)
    if number > 1 and (label is not None or unique_name is not None):
        raise InvalidRequestError(
            f"label, unique_name: they name one certificate, and there are {number}; leave them"
            " out, or import the one from a file of its own."
        )


def _check_is_free(connection: Connection, organization_id: int, names: Sequence[str]) -> None:
    if taken_names(connection, organization_id, names):
        raise ConflictError(
            f"unique_name: there is a certificate named “{names[0]}” already; choose another name,"
            " or add this one to it as a new version."
        )


def _insert(
    connection: Connection,
    *,
    organization_id: int,
    found: Mapping[str, FoundCertificate],
    labels: Sequence[str],
    now: datetime,
    known_since: datetime,
) -> list[ImportedCertificate]:
    """Insert the certificates, by unique name, with their first versions."""
    rows = connection.execute(
        """
        INSERT INTO keywright.certificate (organization_id, unique_name, label, kind, created_at)
        SELECT %(organization_id)s, unique_name, label, 'imported', %(now)s
          FROM unnest(%(names)s::text[], %(labels)s::text[]) AS new (unique_name, label)
        RETURNING unique_name, certificate_id
        """,
        {
            "organization_id": organization_id,
            "names": list(found),
            "labels": list(labels),
            "now": now,
        },
    ).fetchall()
    certificate_ids: dict[str, int] = dict(rows)
    version_ids = insert_versions(
        connection,
        organization_id=organization_id,
        found={certificate_ids[name]: each for name, each in found.items()},
        version_number=1,
        known_since=known_since,
    )
    return [
        ImportedCertificate(
            source=each.source,
            position=each.position,
            certificate_id=certificate_ids[name],
            version_id=version_ids[certificate_ids[name]],
            unique_name=name,
            label=label,
            not_after=each.not_after,
        )
        for (name, each), label in zip(found.items(), labels, strict=True)
    ]


def _duplicates(
    found: Sequence[FoundCertificate], kept: Mapping[bytes, int], names: Mapping[bytes, str]
) -> tuple[DuplicateCertificate, ...]:
    """Report all but those ``kept``, which tells the place of each among ``found``."""
    duplicates = []
    for place, each in enumerate(found):
        first_place = kept.get(each.fingerprint)
        if first_place != place:
            first = None if first_place is None else found[first_place]
            duplicates.append(
                DuplicateCertificate(
                    source=each.source,
                    position=each.position,
                    unique_name=names[each.fingerprint],
                    first_source=first.source if first else None,
                    first_position=first.position if first else None,
                )
            )
    return tuple(duplicates)
