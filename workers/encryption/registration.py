"""Registering a column, checking it again, and taking it out of the registry.

Decides nothing of its own: ``suitability`` judges, ``catalog`` looks, ``registry`` keeps.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from workers.database.pool import Connection
from workers.encryption import registry
from workers.encryption.catalog import (
    examine_column,
    holds_ciphertext,
    organizations_with_values,
    undeclared_columns,
)
from workers.encryption.connections import Connections
from workers.encryption.masks import MaskCharacter, MaskType
from workers.encryption.registry import EncryptedField, FieldDefinition
from workers.encryption.row_keys import same_encoding
from workers.errors import InvalidRequestError, NotFoundError
from workers.keys.keyring import KeyRing

_LOOK_SECONDS = 60.0
_NOT_SEEN = (
    f"Whose values the column holds was not seen within {_LOOK_SECONDS:g} s; organizations get"
    " their first master key when they first encrypt."
)


@dataclass(frozen=True, kw_only=True)
class FieldRequest:
    """A column that somebody wants to have registered; without ``key_columns``, by primary key."""

    field_name: str
    table_schema: str
    table_name: str
    column_name: str
    connection_name: str | None = None
    key_columns: Sequence[str] | None = None
    organization_column: str | None = None
    organization_id: int | None = None
    mask_type: MaskType = "all"
    mask_character: MaskCharacter = "*"


@dataclass(frozen=True, kw_only=True)
class CheckedField:
    """What a look at a registered field's column found."""

    field_name: str
    place: str
    faults: list[str]
    warnings: list[str]


def register_column(
    connection: Connection, connections: Connections, keyring: KeyRing, request: FieldRequest
) -> tuple[EncryptedField, list[str]]:
    """Register a column if it is fit to be a field; return it, and what would be better.

    Every organization that has values in it gets its first master key, if it has none (rule 38).
    The same request again finds the first field.

    Raises:
        InvalidRequestError: the column is not fit; every fault is listed.
        ConflictError: the name or the column is another field's.
        RootKeyUnavailableError: no master key can be made right now; the same request helps later.
    """
    if not re.fullmatch("[a-z][a-z0-9_.]{0,62}", request.field_name):
        raise InvalidRequestError(
            "field name: a small letter, then up to 62 small letters, digits, underscores and dots,"
            " such as customer.card."
        )
    if (request.organization_column is None) == (request.organization_id is None):
        raise InvalidRequestError(
            "organization: give either the column that says whose a row is, or the organization"
            " whose all rows are."
        )
    with connections.connect(request.connection_name, "field registration") as there:
        found = examine_column(
            there,
            table_schema=request.table_schema,
            table_name=request.table_name,
            column_name=request.column_name,
            key_columns=request.key_columns,
            organization_column=request.organization_column,
        )
        if found.faults:
            raise InvalidRequestError(
                f"{request.field_name} was not registered.\n" + "\n".join(found.faults)
            )
        definition = FieldDefinition(
            **vars(request)
            | {
                "column_type": found.column_type,
                "key_columns": found.key_columns,
                "key_types": found.key_types,
            }
        )
        owners: list[int | None] | None = [request.organization_id]
        if request.organization_column is not None:
            owners = organizations_with_values(there, definition, timeout_seconds=_LOOK_SECONDS)
    field = registry.register_field(connection, definition)
    return field, found.warnings + _make_first_keys(keyring, owners)


def _make_first_keys(keyring: KeyRing, owners: Sequence[int | None] | None) -> list[str]:
    """See to it that each organization has a key, and return what stands in the way of that."""
    if owners is None:
        return [_NOT_SEEN]
    warnings = []
    for owner in owners:
        if owner is None:
            warnings.append(
                "Some rows with a value belong to no organization (NULL); no run touches them."
            )
            continue
        try:
            keyring.active_key(owner, uses=0)
        except NotFoundError:
            warnings.append(
                f"Some rows belong to organization {owner}, which keywright does not know; no run"
                " touches them."
            )
    return warnings


def check_field(connections: Connections, field: EncryptedField) -> CheckedField:
    """Look at a field's column again: tables change after they were registered.

    Raises:
        InvalidRequestError: its connection is not configured.
        DatabaseUnavailableError: its database does not answer.
    """
    with connections.connect(field.connection_name, "field check") as there:
        found = examine_column(
            there,
            table_schema=field.table_schema,
            table_name=field.table_name,
            column_name=field.column_name,
            key_columns=field.key_columns,
            organization_column=field.organization_column,
        )
    faults = list(found.faults)
    if not faults and not same_encoding(found.key_types, field.key_types):
        faults.append(
            f"The key of {field.place} is ({', '.join(found.key_types)}) now and was"
            f" ({', '.join(field.key_types)}) when it was registered, so no value opens any more;"
            " change the columns back."
        )
    if not faults and found.column_type != field.column_type:
        faults.append(
            f"{field.place} is a {found.column_type} column now and was {field.column_type} when it"
            " was registered; change it back."
        )
    return CheckedField(
        field_name=field.field_name, place=field.place, faults=faults, warnings=found.warnings
    )


def find_undeclared(connections: Connections, fields: Sequence[EncryptedField]) -> list[str]:
    """Return the places in all known databases that hold ciphertext and are no registered field."""
    places = []
    for name in (None, *connections.names):
        declared = {
            (field.table_schema, field.table_name, field.column_name)
            for field in fields
            if field.connection_name == name
        }
        with connections.connect(name, "field check") as there:
            places += [
                place if name is None else f"{name}: {place}"
                for place in undeclared_columns(there, declared)
            ]
    return places


def unregister_column(
    connection: Connection, connections: Connections, field_name: str
) -> EncryptedField:
    """Take a field whose values are plaintext out of the registry; return what it was.

    Raises:
        NotFoundError: there is no such field.
        ConflictError: its column holds ciphertext, or a run is at work on it.
    """
    field = registry.find_field(connection, field_name)
    is_held = False
    if field.state != "plaintext":
        with connections.connect(field.connection_name, "field check") as there:
            is_held = holds_ciphertext(there, field)
    return registry.unregister_field(connection, field_name, holds_ciphertext=is_held)
