"""What goes into a keystore of an organization's certificates (rules 23 and 30), and writing it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from psycopg.rows import class_row

from workers.certificates.keystores.aliases import aliases_for
from workers.certificates.keystores.entries import KeyEntry, TrustedEntry
from workers.certificates.keystores.passwords import check_password
from workers.certificates.keystores.writing import write_keystore, write_truststore
from workers.certificates.private_keys import PrivateKeys
from workers.database.pool import Connection
from workers.errors import ConflictError, InvalidRequestError, NotFoundError

ExportFormat = Literal["pkcs12", "jks", "pem"]
WhyNoKey = Literal["not_exportable", "not_here", "truststore"]

MEDIA_TYPES: dict[ExportFormat, str] = {
    "pkcs12": "application/x-pkcs12",
    "jks": "application/x-java-keystore",
    "pem": "application/x-pem-file",
}
_ENDINGS: dict[ExportFormat, str] = {"pkcs12": "p12", "jks": "jks", "pem": "pem"}


@dataclass(frozen=True, kw_only=True)
class Passwords:
    """What protects a keystore and, in JKS only, its keys apart from it."""

    store: str | None = field(repr=False)
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class ExportedEntry:
    """One certificate of an export; ``why_no_key`` None: its private key goes with it."""

    unique_name: str
    alias: str
    version_number: int
    not_after: datetime
    why_no_key: WhyNoKey | None


@dataclass(frozen=True, kw_only=True)
class KeystoreContents:
    """What goes into a keystore; ``unsigned`` are certificates that have none yet (rule 13)."""

    entries: tuple[ExportedEntry, ...]
    unsigned: tuple[str, ...]
    keys: tuple[KeyEntry, ...] = field(repr=False)
    trusted: tuple[TrustedEntry, ...] = field(repr=False)

    @property
    def with_key(self) -> list[str]:
        """The unique names of the certificates whose private keys leave."""
        return [each.unique_name for each in self.entries if each.why_no_key is None]


@dataclass(frozen=True, kw_only=True)
class _Row:
    unique_name: str
    private_key_exportable: bool
    version_id: int | None
    version_number: int
    not_after: datetime
    certificate_der: bytes
    chain_der: list[bytes]
    has_private_key: bool


def collect_contents(
    connection: Connection,
    private_keys: PrivateKeys,
    *,
    organization_id: int,
    unique_names: Sequence[str] = (),
    truststore: bool = False,
) -> KeystoreContents:
    """Return all certificates of an organization, or those named, as they go into a keystore.

    Of each it is the newest version that is signed. The private key goes along if it is here and
    may leave; a certificate without one becomes a trusted entry (rule 23).

    Raises:
        NotFoundError: some of those named are not there; the text lists each.
        ConflictError: one that was named is not signed yet, or there is nothing to export.
        PermanentError, RootKeyUnavailableError: a private key cannot be opened.
    """
    rows = _load(connection, organization_id, unique_names)
    _check_named(rows, unique_names)
    signed = [row for row in rows if row.version_id is not None]
    if not signed:
        raise ConflictError(
            "There is no signed certificate to export; `keywright certificate list` shows what the"
            " organization has."
        )
    aliases = aliases_for([row.unique_name for row in signed])
    entries = tuple(
        ExportedEntry(
            unique_name=row.unique_name,
            alias=alias,
            version_number=row.version_number,
            not_after=row.not_after,
            why_no_key=_why_no_key(row, truststore=truststore),
        )
        for row, alias in zip(signed, aliases, strict=True)
    )
    given = list(zip(signed, entries, strict=True))
    opened = private_keys.open(
        connection,
        organization_id=organization_id,
        version_ids=[
            row.version_id for row, entry in given if entry.why_no_key is None and row.version_id
        ],
    )
    return KeystoreContents(
        entries=entries,
        unsigned=tuple(row.unique_name for row in rows if row.version_id is None),
        keys=tuple(
            KeyEntry(
                alias=entry.alias,
                private_key=opened[row.version_id],
                chain=(row.certificate_der, *row.chain_der),
            )
            for row, entry in given
            if entry.why_no_key is None and row.version_id
        ),
        trusted=tuple(
            TrustedEntry(alias=entry.alias, certificate=row.certificate_der)
            for row, entry in given
            if entry.why_no_key is not None
        ),
    )


def check_passwords(passwords: Passwords, *, store_format: ExportFormat, truststore: bool) -> None:
    """Pass if the passwords may protect a keystore of this format (rule 30).

    Raises:
        InvalidRequestError: one is missing, not acceptable or of no use; the text says which.
    """
    if passwords.store is not None:
        check_password(passwords.store, store_format)
    elif not (truststore and store_format == "pem"):
        raise InvalidRequestError("password: a keystore needs one; hand it over first.")
    if passwords.key is None:
        return
    if store_format != "jks" or truststore:
        raise InvalidRequestError(
            "key_password: only private keys in JKS have a password of their own; leave it out."
        )
    check_password(passwords.key, store_format)


def write_contents(
    contents: KeystoreContents,
    passwords: Passwords,
    *,
    store_format: ExportFormat,
    truststore: bool,
) -> bytes:
    """Return the keystore as a file holds it.

    Raises:
        InvalidRequestError: the passwords do not do.
    """
    check_passwords(passwords, store_format=store_format, truststore=truststore)
    password = passwords.store or ""
    if truststore:
        return write_truststore(store_format, contents.trusted, password=password)
    return write_keystore(
        store_format,
        keys=contents.keys,
        trusted=contents.trusted,
        password=password,
        key_password=passwords.key,
    )


def file_name_for(store_format: ExportFormat, *, truststore: bool) -> str:
    """Return what to call the file."""
    return f"{'truststore' if truststore else 'keystore'}.{_ENDINGS[store_format]}"


def _load(connection: Connection, organization_id: int, unique_names: Sequence[str]) -> list[_Row]:
    with connection.cursor(row_factory=class_row(_Row), binary=True) as cursor:
        return cursor.execute(
            """
            SELECT unique_name, private_key_exportable, version_id, version_number, not_after,
                   certificate_der, chain_der, private_key IS NOT NULL AS has_private_key
              FROM keywright.certificate
              LEFT JOIN LATERAL (
                   SELECT version_id, version_number, not_after, certificate_der, chain_der,
                          private_key
                     FROM keywright.certificate_version AS version
                    WHERE version.certificate_id = certificate.certificate_id
                      AND certificate_der IS NOT NULL
                    ORDER BY version_number DESC
                    LIMIT 1) AS newest ON true
             WHERE organization_id = %(organization_id)s AND deleted_at IS NULL
               AND (%(all)s OR lower(unique_name) = ANY (
                       ARRAY (SELECT lower(name) FROM unnest(%(names)s::text[]) AS asked (name))))
             ORDER BY lower(unique_name)
            """,
            {
                "organization_id": organization_id,
                "all": not unique_names,
                "names": list(unique_names),
            },
        ).fetchall()


def _check_named(rows: Sequence[_Row], unique_names: Sequence[str]) -> None:
    found = {row.unique_name.lower() for row in rows}
    missing = [name for name in unique_names if name.lower() not in found]
    if missing:
        raise NotFoundError(
            f"There is no certificate named {_listed(missing)} in this organization; `keywright"
            " certificate list` shows them."
        )
    unsigned = [row.unique_name for row in rows if row.version_id is None]
    if unique_names and unsigned:
        raise ConflictError(
            f"Not signed yet: {_listed(unsigned)}; upload the signed certificate first, or leave"
            " it out."
        )


def _why_no_key(row: _Row, *, truststore: bool) -> WhyNoKey | None:
    if truststore:
        return "truststore"
    if not row.has_private_key:
        return "not_here"
    return None if row.private_key_exportable else "not_exportable"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)
