"""The registry: what is kept once, what is refused, and when a field may leave."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.integration.encryption.shop import FIELD, Shop
from workers.database.pool import Connection
from workers.encryption.registry import (
    EncryptedField,
    FieldDefinition,
    find_field,
    list_fields,
    move_field,
    register_field,
    unregister_field,
)
from workers.errors import ConflictError, NotFoundError

OURS = "certificate.private_key"
ALL_OURS = ["artifact.content", OURS, "handed_secret.value", "webhook_secret.value"]
# By name, the card stands between them.
WITH_CARD = [*ALL_OURS[:2], "customer.card", *ALL_OURS[2:]]

CARD = FieldDefinition(
    field_name=FIELD,
    connection_name=None,
    table_schema="public",
    table_name="customer",
    column_name="card",
    column_type="bytea",
    key_columns=["id"],
    key_types=["integer"],
    organization_column="tenant_id",
    organization_id=None,
)


@pytest.fixture
def card(connection: Connection) -> EncryptedField:
    """A registered field."""
    return register_field(connection, CARD)


def names(fields: list[EncryptedField]) -> list[str]:
    return [field.field_name for field in fields]


def test_our_own_private_keys_are_a_field_like_any_other(connection: Connection) -> None:
    _, ours, *_ = list_fields(connection)
    assert (ours.field_name, ours.place) == (OURS, "keywright.certificate_version.private_key")
    assert ours.field_id == UUID("6b657977-7269-4768-8474-000000000001")
    assert ours.writes_ciphertext
    assert not ours.accepts_plaintext


def test_a_new_field_is_plaintext(card: EncryptedField) -> None:
    assert card.state == "plaintext"
    assert (card.accepts_plaintext, card.writes_ciphertext) == (True, False)


def test_the_same_definition_again_finds_the_first(
    connection: Connection, card: EncryptedField
) -> None:
    assert register_field(connection, CARD) == card
    # The table's key was widened meanwhile, which changes no value.
    assert register_field(connection, replace(CARD, key_types=["bigint"])) == card


@pytest.mark.parametrize(
    "change",
    [
        {"column_name": "iban"},
        {"connection_name": "billing"},
        {"key_types": ["uuid"]},
        {"key_columns": ["number"]},
        {"column_type": "text"},
        {"mask_type": "ssn"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_definition_under_the_same_name_is_refused(
    connection: Connection, card: EncryptedField, change: dict[str, Any]
) -> None:
    with pytest.raises(ConflictError, match=next(iter(change))):
        register_field(connection, replace(CARD, **change))
    assert find_field(connection, FIELD) == card


@pytest.mark.parametrize("connection_name", [None, "billing"])
def test_a_column_has_one_name(connection: Connection, connection_name: str | None) -> None:
    register_field(connection, replace(CARD, connection_name=connection_name))
    with pytest.raises(ConflictError, match="another name"):
        register_field(
            connection, replace(CARD, connection_name=connection_name, field_name="other")
        )


def test_the_same_column_of_another_database_is_another_field(
    connection: Connection, card: EncryptedField
) -> None:
    other = register_field(
        connection, replace(CARD, connection_name="billing", field_name="billing.card")
    )
    assert other.field_id != card.field_id
    assert other.place == "billing: public.customer.card"


def test_fields_are_listed_by_name_and_organization(shop: Shop) -> None:
    register_field(shop.connection, CARD)
    theirs = replace(
        CARD,
        field_name="a",
        column_name="a",
        organization_column=None,
        organization_id=shop.globex,
    )
    field_id = register_field(shop.connection, theirs).field_id
    assert names(list_fields(shop.connection)) == ["a", *WITH_CARD]
    assert names(list_fields(shop.connection, organization_id=shop.acme)) == WITH_CARD
    assert names(list_fields(shop.connection, organization_id=shop.globex)) == ["a", *WITH_CARD]
    assert names(list_fields(shop.connection, field_ids=[field_id, uuid4()])) == ["a"]
    assert names(list_fields(shop.connection, field_ids=[])) == []


def test_a_name_that_is_not_there_is_not_found(connection: Connection) -> None:
    with pytest.raises(NotFoundError, match="no encrypted field"):
        find_field(connection, FIELD)
    with pytest.raises(NotFoundError, match="no encrypted field"):
        unregister_field(connection, FIELD, holds_ciphertext=False)


def test_of_two_who_move_a_field_one_does(connection: Connection, card: EncryptedField) -> None:
    moves = [
        move_field(connection, card.field_id, from_state="plaintext", to_state="encrypting")
        for _ in range(2)
    ]
    assert moves == [True, False]
    assert find_field(connection, FIELD).state == "encrypting"


def test_a_field_of_plaintext_may_leave(connection: Connection, card: EncryptedField) -> None:
    assert unregister_field(connection, FIELD, holds_ciphertext=True) == card
    assert names(list_fields(connection)) == ALL_OURS
    assert register_field(connection, CARD).field_id != card.field_id


def test_a_field_that_holds_ciphertext_stays(connection: Connection, card: EncryptedField) -> None:
    move_field(connection, card.field_id, from_state="plaintext", to_state="encrypting")
    with pytest.raises(ConflictError, match="decrypt it first"):
        unregister_field(connection, FIELD, holds_ciphertext=True)
    unregister_field(connection, FIELD, holds_ciphertext=False)


RUN = """
    INSERT INTO keywright.reencryption_run
           (organization_id, purpose, field_ids, target_number, state, options, requested_by,
            finished_at)
    VALUES (%(organization)s, 'encrypt', ARRAY[%(field)s], 1,
            %(state)s::keywright.reencryption_state, '{}', 'alice',
            CASE %(state)s::text WHEN 'completed' THEN now() END)
    RETURNING run_id
    """


def test_a_field_that_a_run_is_at_work_on_stays(shop: Shop) -> None:
    card = register_field(shop.connection, CARD)
    values = {"organization": shop.acme, "field": card.field_id, "state": "starting"}
    shop.connection.execute(RUN, values)
    with pytest.raises(ConflictError, match="keywright reencryption cancel"):
        unregister_field(shop.connection, FIELD, holds_ciphertext=False)


def test_a_field_with_values_in_quarantine_stays_until_they_are_seen_to(shop: Shop) -> None:
    card = register_field(shop.connection, CARD)
    values = {"organization": shop.acme, "field": card.field_id, "state": "completed"}
    run = shop.connection.execute(RUN, values).fetchone()
    assert run is not None
    shop.connection.execute(
        "INSERT INTO keywright.quarantine (field_id, organization_id, row_key, class, value_hash,"
        " first_seen_at, first_run_id, last_seen_at, last_run_id, last_pass)"
        " VALUES (%s, %s, '{1}', 'malformed', sha256(''), now(), %s, now(), %s, 1)",
        [card.field_id, shop.acme, run[0], run[0]],
    )
    with pytest.raises(ConflictError, match="still holds ciphertext"):
        unregister_field(shop.connection, FIELD, holds_ciphertext=False)
    shop.connection.execute("UPDATE keywright.quarantine SET resolved_at = now()")
    unregister_field(shop.connection, FIELD, holds_ciphertext=False)
