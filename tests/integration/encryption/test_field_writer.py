"""What a writer refuses: values that do not fit, and transactions that would not hold the fence."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from psycopg.errors import ProgrammingError

from tests.integration.encryption.shop import FIELD, Shop
from workers.encryption import NoTransactionError
from workers.errors import InvalidRequestError, NotFoundError


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"field_name": "customer.cart"}, "no encrypted field named “customer.cart”"),
        ({"row": (1, 2)}, "tuple of 1"),
        ({"row": ("1",)}, "bigint"),
        ({"value": "text"}, "takes bytes, not str"),
        ({"field_name": "customer.name", "value": b"bytes"}, "takes str, not bytes"),
        ({"field_name": "customer.name", "value": "a\0b"}, "zero character"),
        ({"field_name": "customer.name", "value": "\ud800"}, "surrogate"),
    ],
)
def test_what_does_not_fit_the_field_is_refused(
    fields: Shop, call: dict[str, Any], says: str
) -> None:
    wanted = {"field_name": FIELD, "row": (1,), "value": b"secret"} | call
    with (
        fields.application() as connection,
        fields.cipher.writing(connection, organization_id=fields.acme) as writer,
        pytest.raises((InvalidRequestError, NotFoundError), match=says),
    ):
        writer.encrypt(**wanted)


def test_a_field_of_one_organization_takes_no_values_of_another(shop: Shop) -> None:
    shop.make_table()
    shop.register(organization_id=shop.acme)
    value = shop.encrypt((1,), b"secret")
    assert shop.decrypt((1,), value) == b"secret"
    for use in (shop.encrypt, shop.decrypt):
        with pytest.raises(InvalidRequestError, match=f"organization {shop.acme}, not to"):
            use((1,), value, tenant=shop.globex)


def test_a_writer_ends_with_its_block(fields: Shop) -> None:
    with fields.application() as connection:
        with fields.cipher.writing(connection, organization_id=fields.acme) as writer:
            writer.encrypt(FIELD, row=(1,), value=b"secret")
        with pytest.raises(InvalidRequestError, match="inside"):
            writer.encrypt(FIELD, row=(1,), value=b"secret")


def test_nothing_is_encrypted_outside_a_transaction(fields: Shop) -> None:
    with (
        pytest.raises(NoTransactionError, match=r"connection\.transaction"),
        fields.cipher.writing(fields.connection, organization_id=fields.acme),
    ):
        pass
    with (
        fields.connection.transaction(),
        fields.cipher.writing(fields.connection, organization_id=fields.acme) as writer,
    ):
        assert writer.encrypt(FIELD, row=(1,), value=b"secret")


def test_nothing_is_encrypted_in_a_transaction_that_has_failed(fields: Shop) -> None:
    with fields.application() as connection:
        with pytest.raises(ProgrammingError):
            connection.execute("SELECT nonsense")
        with (
            pytest.raises(NoTransactionError, match="failed already"),
            fields.cipher.writing(connection, organization_id=fields.acme),
        ):
            pass
        connection.rollback()


def test_threads_share_a_cipher(fields: Shop) -> None:
    def work(first: int) -> bool:
        values = [((row,), b"%d" % row) for row in range(first, first + 50)]
        with (
            fields.application() as connection,
            fields.cipher.writing(connection, organization_id=fields.acme) as writer,
        ):
            encrypted = [writer.encrypt(FIELD, row=row, value=value) for row, value in values]
        return encrypted != [value for _, value in values] and all(
            fields.decrypt(row, stored) == value
            for (row, value), stored in zip(values, encrypted, strict=True)
        )

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, range(0, 400, 100)))
