"""Registering columns of this and of another database, and looking at them again."""

from dataclasses import replace

import pytest
from pydantic import SecretStr

from tests.integration.encryption.shop import FIELD, Shop
from workers.database.pool import Connection
from workers.encryption import registration
from workers.encryption.connections import Connections
from workers.encryption.registration import FieldRequest, find_undeclared
from workers.encryption.registry import find_field, list_fields
from workers.errors import ConflictError, InvalidRequestError, KeywrightError, NotFoundError

REQUEST = FieldRequest(
    field_name=FIELD,
    table_schema="public",
    table_name="customer",
    column_name="card",
    organization_column="tenant_id",
)


def register(shop: Shop, request: FieldRequest) -> list[str]:
    """Register; return the warnings about rows that no run would touch."""
    _, warnings = registration.register_column(
        shop.connection, shop.connections, shop.keyring, request
    )
    return [warning for warning in warnings if "no run touches them" in warning]


def test_the_first_field_makes_key_number_1(shop: Shop) -> None:
    shop.make_table()
    assert shop.keyring.active_number(shop.acme) is None
    register(shop, replace(REQUEST, organization_column=None, organization_id=shop.acme))
    assert shop.keyring.active_number(shop.acme) == 1
    assert shop.keyring.active_number(shop.globex) is None


def test_every_organization_with_values_gets_its_key(shop: Shop) -> None:
    shop.make_table()
    shop.connection.execute(
        "INSERT INTO customer (id, tenant_id, card) VALUES (1, %s, ''), (2, %s, NULL),"
        " (3, NULL, ''), (4, 4711, '')",
        [shop.acme, shop.globex],
    )
    warnings = register(shop, REQUEST)
    assert shop.keyring.active_number(shop.acme) == 1
    assert shop.keyring.active_number(shop.globex) is None  # gets it with its first value
    assert ["NULL" in each or "4711" in each for each in warnings] == [True, True]


def test_a_key_that_is_there_stays_the_active_one(shop: Shop) -> None:
    shop.make_table()
    shop.keyring.active_key(shop.acme, uses=0)
    shop.rotate()
    request = replace(REQUEST, organization_column=None, organization_id=shop.acme)
    register(shop, request)
    register(shop, request)
    assert shop.keyring.active_number(shop.acme) == 2


def test_a_column_that_is_not_fit_is_refused_with_all_its_faults(shop: Shop) -> None:
    shop.make_table(column="card varchar(20) DEFAULT 'none' UNIQUE")
    with pytest.raises(InvalidRequestError) as refusal:
        register(shop, REQUEST)
    assert str(refusal.value).count("\n") == 3
    with pytest.raises(NotFoundError):
        find_field(shop.connection, FIELD)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"field_name": "Card"}, "field name: "),
        ({"organization_column": None}, "organization: give either"),
        ({"organization_id": 1}, "organization: give either"),
        ({"connection_name": "crm"}, "KEYWRIGHT_CONNECTION_CRM"),
    ],
)
def test_what_is_asked_for_wrongly_is_refused(
    shop: Shop, change: dict[str, object], says: str
) -> None:
    shop.make_table()
    with pytest.raises(InvalidRequestError, match=says):
        register(shop, replace(REQUEST, **change))  # type: ignore[arg-type]


def test_a_field_may_lie_in_another_database(
    shop: Shop, billing: Connection, other_database: str
) -> None:
    billing.execute("CREATE TABLE customer (id uuid PRIMARY KEY, tenant_id int, card text)")
    billing.execute("INSERT INTO customer VALUES (gen_random_uuid(), %s, 'plain')", [shop.acme])
    field = shop.register(connection_name="billing")
    assert (field.column_type, field.key_types) == ("text", ["uuid"])
    assert shop.keyring.active_number(shop.acme) == 1
    with (
        shop.application(other_database) as connection,
        shop.cipher.writing(connection, organization_id=shop.acme) as writer,
    ):
        [row] = connection.execute("SELECT id FROM customer").fetchall()
        value = writer.encrypt(FIELD, row=row, value="secret")
        connection.execute("UPDATE customer SET card = %s", [value])
    [stored] = billing.execute("SELECT card FROM customer").fetchall()
    assert shop.decrypt(row, stored[0]) == "secret"
    assert registration.check_field(shop.connections, field).faults == []


def test_what_became_of_a_table_is_seen(shop: Shop) -> None:
    shop.make_table("id int PRIMARY KEY")
    field = shop.register()

    def faults() -> list[str]:
        return registration.check_field(shop.connections, field).faults

    assert faults() == []
    shop.connection.execute("ALTER TABLE customer ALTER id TYPE bigint")
    assert faults() == []
    shop.connection.execute("CREATE INDEX by_card ON customer (card)")
    assert ["DROP INDEX" in fault for fault in faults()] == [True]
    shop.connection.execute("DROP INDEX by_card; ALTER TABLE customer ALTER id TYPE numeric")
    assert ["(numeric) now and was (integer)" in fault for fault in faults()] == [True]
    shop.connection.execute("ALTER TABLE customer ALTER id TYPE int, ALTER card TYPE text")
    assert ["is a text column now" in fault for fault in faults()] == [True]
    shop.connection.execute("DROP TABLE customer")
    assert ["There is no table" in fault for fault in faults()] == [True]


def test_ciphertext_that_nobody_declared_is_found_in_every_database(
    shop: Shop, billing: Connection
) -> None:
    shop.make_table(column="card bytea, copy bytea")
    shop.register()
    value = shop.encrypt((1,), b"secret")
    shop.connection.execute(
        "INSERT INTO customer (id, card, copy) VALUES (1, %s, %s)", [value, value]
    )
    billing.execute("CREATE TABLE copy (card bytea)")
    billing.execute("INSERT INTO copy VALUES (%s)", [value])
    fields = list_fields(shop.connection)
    assert find_undeclared(shop.connections, fields) == [
        "public.customer.copy",
        "billing: public.copy.card",
    ]


def test_a_field_leaves_when_its_column_holds_no_ciphertext(shop: Shop) -> None:
    shop.make_table()
    shop.register()
    value = shop.encrypt((1,), b"secret")
    shop.connection.execute("INSERT INTO customer (id, card) VALUES (1, %s)", [value])

    def unregister() -> None:
        registration.unregister_column(shop.connection, shop.connections, FIELD)

    with pytest.raises(ConflictError, match="still holds ciphertext"):
        unregister()
    shop.connection.execute("UPDATE customer SET card = 'plain'")
    unregister()
    with pytest.raises(NotFoundError):
        unregister()


def test_a_database_that_is_away_is_no_reason_to_forget_its_field(
    shop: Shop, billing: Connection
) -> None:
    billing.execute("CREATE TABLE customer (id int PRIMARY KEY, tenant_id int, card bytea)")
    shop.register(connection_name="billing")
    for connections in (
        Connections(shop.conninfo),
        Connections(shop.conninfo, {"billing": SecretStr("postgresql://127.0.0.1:9/billing")}),
    ):
        with pytest.raises(KeywrightError, match="KEYWRIGHT_CONNECTION_BILLING"):
            registration.unregister_column(shop.connection, connections, FIELD)
    find_field(shop.connection, FIELD)
