"""Taking the private keys of a keystore in with their certificates: rules 24 to 29.

``plan_import`` decides and changes nothing; ``import_planned`` takes all of it in, or nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from workers.certificates.keystores.doctor import check_for_import, unique_name_for
from workers.certificates.keystores.entries import EntryFault, Format, KeyEntry, KeystoreReading
from workers.certificates.making import Kind, NewCertificate, NewVersion, add_certificates
from workers.certificates.names import label_from
from workers.certificates.naming import taken_names
from workers.certificates.private_keys import PrivateKeys, load_own_key
from workers.certificates.reading.chains import with_chain
from workers.certificates.reading.contents import read_certificates
from workers.certificates.reading.found import FoundCertificate
from workers.certificates.recognition import known_certificates
from workers.database.pool import Connection
from workers.errors import InvalidRequestError

_MOST_FAULTS_SAID = 20
_FORMAT_NAMES: dict[Format, str] = {
    "jks": "JKS",
    "jceks": "JCEKS",
    "pkcs12": "PKCS #12",
    "pem": "PEM",
}


class KeystoreRefusedError(InvalidRequestError):
    """A keystore was not taken in; ``faults`` says all that stands against it."""

    code = "keystore-refused"
    title = "The keystore was not imported"

    def __init__(self, faults: tuple[EntryFault, ...]) -> None:
        said = " ".join(str(each) for each in faults[:_MOST_FAULTS_SAID])
        more = len(faults) - _MOST_FAULTS_SAID
        rest = f" And {more:,} more, which a dry run lists." if more > 0 else ""
        super().__init__(f"Nothing was imported. {said}{rest}")
        self.faults = faults


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """How to take a keystore in; ``names`` gives aliases other unique names than their own."""

    names: Mapping[str, str] = field(default_factory=dict)
    private_keys_exportable: bool = True
    strict: bool = False


@dataclass(frozen=True, kw_only=True)
class PlannedEntry:
    """A private key as it is to be kept; ``same_as`` has this very certificate already."""

    alias: str
    unique_name: str
    label: str
    kind: Kind
    key: str
    not_after: datetime
    chain_length: int
    same_as: str | None
    new: NewCertificate = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ImportPlan:
    """What an import would do; with any fault, it would do nothing.

    ``left_out`` are the aliases of what is never taken in: certificates without a private key, and
    secret keys.
    """

    format: Format
    entries: tuple[PlannedEntry, ...]
    left_out: tuple[str, ...]
    faults: tuple[EntryFault, ...]


def plan_import(
    connection: Connection | None,
    reading: KeystoreReading,
    options: ImportOptions,
    *,
    organization_id: int | None,
) -> ImportPlan:
    """Return what an import of the keystore would do, with every fault at once.

    Without a connection and an organization nothing is known of names that are taken.

    Raises:
        InvalidRequestError: ``names`` names an alias that is not there.
    """
    reading = _renamed(reading, options.names)
    originals = {name: alias for alias, name in options.names.items()}
    taken: set[str] = set()
    known: dict[bytes, str] = {}
    found = {entry.alias: _found(entry) for entry in reading.keys}
    if connection is not None and organization_id is not None:
        taken = taken_names(connection, organization_id, [*map(unique_name_for, found)])
        fingerprints = [each.fingerprint for each in found.values() if each is not None]
        known = known_certificates(connection, organization_id, fingerprints)
    faults = check_for_import(
        reading,
        taken_names=taken,
        any_key_type=not options.strict,
        one_password=options.strict,
    )
    if options.strict and reading.format != "jks":
        faults.insert(0, _wrong_format(reading.format))
    faulty = {each.alias for each in faults}
    entries = []
    for entry in reading.keys:
        leaf = found[entry.alias]
        if leaf is None and entry.alias not in faulty:
            faults.append(_unreadable(entry.alias))
        elif leaf is not None and entry.alias not in faulty:
            planned = _planned(entry, leaf, options, known.get(leaf.fingerprint))
            entries.append(replace(planned, alias=originals.get(entry.alias, entry.alias)))
    return ImportPlan(
        format=reading.format,
        entries=tuple(entries),
        left_out=(*(each.alias for each in reading.trusted), *reading.passed_over),
        faults=tuple(faults),
    )


def import_planned(
    connection: Connection,
    private_keys: PrivateKeys,
    plan: ImportPlan,
    *,
    organization_id: int,
    now: datetime,
) -> None:
    """Keep everything that was planned, or nothing; tiers that were due before are never told.

    Raises:
        KeystoreRefusedError: the plan has faults.
        ConflictError: a name was taken since it was made; the text lists each (rule 28).
        RootKeyUnavailableError: the master key cannot be unwrapped right now.
    """
    if plan.faults:
        raise KeystoreRefusedError(plan.faults)
    add_certificates(
        connection,
        private_keys,
        organization_id=organization_id,
        certificates=[each.new for each in plan.entries],
        now=now,
    )


def _renamed(reading: KeystoreReading, names: Mapping[str, str]) -> KeystoreReading:
    there = {*(each.alias for each in reading.keys), *(each.alias for each in reading.faults)}
    unknown = sorted(set(names) - there)
    if unknown:
        raise InvalidRequestError(
            "names: there is no private key with the alias "
            + ", ".join(f"“{label_from(alias)}”" for alias in unknown)
            + "; `keywright keystore inspect` shows those that there are."
        )
    return replace(
        reading,
        keys=tuple(replace(each, alias=names.get(each.alias, each.alias)) for each in reading.keys),
        faults=tuple(
            replace(each, alias=names.get(each.alias or "", each.alias)) for each in reading.faults
        ),
    )


def _found(entry: KeyEntry) -> FoundCertificate | None:
    """Return the leaf with its chain; None if our own reader makes nothing of one of them."""
    found: list[FoundCertificate] = []
    for der in entry.chain:
        found += read_certificates(der, source=entry.alias).certificates
    if len(found) != len(entry.chain) or not found:
        return None
    return with_chain(found[0], found[1:])


def _planned(
    entry: KeyEntry, leaf: FoundCertificate, options: ImportOptions, same_as: str | None
) -> PlannedEntry:
    public_key = load_own_key(entry.private_key).public_key()
    name, label = unique_name_for(entry.alias), label_from(entry.alias)
    kind: Kind = "self_signed" if leaf.is_self_issued else "ca_signed"
    new = NewCertificate(
        unique_name=name,
        label=label,
        kind=kind,
        private_key_exportable=options.private_keys_exportable,
        version=NewVersion(
            private_key=entry.private_key,
            public_key=public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            key_algorithm=leaf.key_algorithm,
            key_size=leaf.key_size,
            found=leaf,
        ),
    )
    return PlannedEntry(
        alias=entry.alias,
        unique_name=name,
        label=label,
        kind=kind,
        key=f"{leaf.key_algorithm} {leaf.key_size or ''}".rstrip(),
        not_after=leaf.not_after,
        chain_length=len(leaf.chain),
        same_as=same_as,
        new=new,
    )


def _wrong_format(found: Format) -> EntryFault:
    return EntryFault(
        alias=None,
        code="format",
        what=f"The file is a {_FORMAT_NAMES[found]} keystore, and only JKS is let in here",
        how_to_fix=(
            "convert it with keytool -importkeystore -deststoretype JKS, or import it without"
            " strictness"
        ),
    )


def _unreadable(alias: str) -> EntryFault:
    return EntryFault(
        alias=alias,
        code="certificate-unreadable",
        what=f"A certificate of “{label_from(alias)}” cannot be read",
        how_to_fix="put an intact copy into the keystore",
    )
