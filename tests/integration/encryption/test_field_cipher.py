"""The field cipher on a real database: what opens, where, and what is said of what does not."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.integration.encryption.shop import FIELD, Shop
from workers.encryption import (
    FieldCipher,
    MalformedCiphertextError,
    NotCiphertextError,
    RowKeyError,
    TagMismatchError,
)
from workers.errors import ConflictError, PermanentError
from workers.keys.keyring import DestroyedKeyError, SuspendedKeyError, UnknownKeyError
from workers.keys.states import State

KEYS: list[tuple[str, list[Any]]] = [
    ("smallint", [-3, 7]),
    ("integer", [0, 2**31 - 1]),
    ("bigint", [-(2**63), 42]),
    ("text", ["", "Zoë e\u0301 \U0001f511"]),
    ("varchar(20)", ["a ", "a"]),
    ("char(6)", ["ab", "a  b"]),
    ("uuid", [UUID(int=1), UUID("00112233-4455-6677-8899-aabbccddeeff")]),
    ("bytea", [b"", b"\x93\0\xff"]),
    ("date", [date(1, 1, 1), date(2024, 2, 29)]),
    ("timestamp", [datetime(1969, 12, 31, 23, 59, 59, 999999), datetime(2026, 3, 1)]),  # noqa: DTZ001
    ("timestamptz", [datetime(1999, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, 12, tzinfo=UTC)]),
    ("numeric", [Decimal("-0.05"), Decimal(10) ** 30]),
    ("numeric(9, 4)", [Decimal("1.5"), Decimal(12000)]),
    ("boolean", [True, False]),
]


@pytest.mark.parametrize(("kind", "keys"), KEYS, ids=[kind for kind, _ in KEYS])
@pytest.mark.parametrize("binary", [False, True], ids=["in text", "in binary"])
def test_every_type_of_key_leads_back_to_its_value(
    shop: Shop, kind: str, keys: list[Any], binary: bool
) -> None:
    shop.make_table(f"id {kind} PRIMARY KEY")
    shop.register()
    with shop.application() as connection:
        connection.execute("SET TIME ZONE 'Asia/Kolkata'")
        with shop.cipher.writing(connection, organization_id=shop.acme) as writer:
            for key in keys:
                value = writer.encrypt(FIELD, row=(key,), value=f"of {key!r}".encode())
                connection.execute(
                    "INSERT INTO customer (tenant_id, id, card) VALUES (%s, %s, %s)",
                    [shop.acme, key, value],
                )
        connection.execute("SET TIME ZONE 'America/Sao_Paulo'")
        rows = connection.execute("SELECT id, card FROM customer", binary=binary).fetchall()
    opened = {shop.decrypt((key,), value) for key, value in rows}
    assert opened == {f"of {key!r}".encode() for key in keys}


def test_a_key_of_several_columns_is_given_in_their_order(shop: Shop) -> None:
    shop.make_table("region text, day date, id int, PRIMARY KEY (region, id, day)")
    field = shop.register()
    assert field.key_columns == ["region", "id", "day"]
    row = ("eu", 5, date(2026, 3, 1))
    value = shop.encrypt(row, b"secret")
    assert shop.decrypt(row, value) == b"secret"
    with pytest.raises(RowKeyError, match="of type integer"):
        shop.decrypt(("eu", date(2026, 3, 1), 5), value)


def test_text_columns_take_and_give_text(fields: Shop) -> None:
    with (
        fields.application() as connection,
        fields.cipher.writing(connection, organization_id=fields.acme) as writer,
    ):
        value = writer.encrypt("customer.name", row=(1,), value="Zoë")
        assert isinstance(value, str)
        assert value.startswith("kwE")
        connection.execute("INSERT INTO customer (id, name) VALUES (1, %s)", [value])
        stored = connection.execute("SELECT name FROM customer").fetchone()
    assert stored is not None
    place: dict[str, Any] = {"organization_id": fields.acme, "row": (1,)}
    assert fields.cipher.decrypt("customer.name", **place, value=stored[0]) == "Zoë"


def test_null_stays_null_and_the_empty_value_is_one(fields: Shop) -> None:
    assert fields.encrypt((1,), None) is None
    assert fields.decrypt((1,), None) is None
    assert fields.decrypt((1,), fields.encrypt((1,), b"")) == b""


def test_the_same_value_is_never_the_same_ciphertext(fields: Shop) -> None:
    assert fields.encrypt((1,), b"same") != fields.encrypt((1,), b"same")


def test_a_value_opens_in_no_other_row_field_or_organization(fields: Shop) -> None:
    value = fields.encrypt((1,), b"secret")
    fields.encrypt((1,), b"", tenant=fields.globex)
    place: dict[str, Any] = {"organization_id": fields.acme, "row": (1,), "value": value}
    for field_name, elsewhere in (
        (FIELD, {"row": (2,)}),
        ("customer.iban", {}),
        (FIELD, {"organization_id": fields.globex}),
    ):
        with pytest.raises(TagMismatchError):
            fields.cipher.decrypt(field_name, **place | elsewhere)


def test_new_values_are_under_the_new_key_and_old_ones_stay_readable(fields: Shop) -> None:
    old = fields.encrypt((1,), b"old")
    assert fields.rotate() == 2
    new = fields.encrypt((1,), b"new")
    assert (old[2:6], new[2:6]) == (b"\0\0\0\1", b"\0\0\0\2")
    assert (fields.decrypt((1,), old), fields.decrypt((1,), new)) == (b"old", b"new")


def test_a_batch_says_of_each_value_what_is_wrong_and_opens_the_others(fields: Shop) -> None:
    values = [fields.encrypt((row,), f"{row}".encode()) for row in range(3)]  # under key 1
    for row in (3, 4, 5):
        fields.rotate()
        values.append(fields.encrypt((row,), f"{row}".encode()))
    fields.move_key(2, State.DESTROYED)
    fields.move_key(3, State.SUSPENDED)
    spoiled = values[1][:-1] + bytes([values[1][-1] ^ 1])
    batch = [
        ((0,), values[0]),
        ((1,), spoiled),
        ((2,), values[2][:20]),
        ((3,), values[3]),
        ((4,), values[4]),
        ((5,), values[5]),
        ((6,), b"plaintext"),
        ((7,), b"\x93\x01\0\0\0\x63" + bytes(28)),
        ((8,), None),
    ]
    opened = fields.cipher.decrypt_many(FIELD, organization_id=fields.acme, values=batch)
    assert [type(each) for each in opened] == [
        bytes,
        TagMismatchError,
        MalformedCiphertextError,
        DestroyedKeyError,
        SuspendedKeyError,
        bytes,
        NotCiphertextError,
        UnknownKeyError,
        type(None),
    ]
    assert (opened[0], opened[5]) == (b"0", b"5")
    codes = {each.code for each in opened if isinstance(each, PermanentError)}
    assert len(codes) == 6
    with pytest.raises(DestroyedKeyError):
        fields.decrypt((3,), values[3])


def test_many_values_are_encrypted_at_once(fields: Shop) -> None:
    values: list[tuple[tuple[int], bytes | None]] = [((row,), b"%d" % row) for row in range(500)]
    values.append(((500,), None))
    with (
        fields.application() as connection,
        fields.cipher.writing(connection, organization_id=fields.acme) as writer,
    ):
        encrypted = writer.encrypt_many(FIELD, values)
        assert writer.encrypt_many(FIELD, []) == []
    assert len({value[6:18] for value in encrypted if value}) == 500
    stored = [(row, value) for (row, _), value in zip(values, encrypted, strict=True)]
    opened = fields.cipher.decrypt_many(FIELD, organization_id=fields.acme, values=stored)
    assert opened == [value for _, value in values]


def test_every_encryption_is_on_record(fields: Shop) -> None:
    fields.encrypt((1,), b"secret")
    row = fields.connection.execute(
        "SELECT uses_leased FROM keywright.master_key WHERE organization_id = %s", [fields.acme]
    ).fetchone()
    assert row is not None
    assert row[0] > 0


@pytest.mark.parametrize(
    ("may_view", "shown"), [(True, "4111111111111111"), (False, "XXXX-XXXX-XXXX-1111")]
)
def test_who_may_not_view_a_value_sees_its_mask(shop: Shop, may_view: bool, shown: str) -> None:
    shop.make_table()
    shop.register(mask_type="credit_card", mask_character="X")
    place: dict[str, Any] = {"organization_id": shop.acme, "row": (1,)}
    value = shop.encrypt((1,), b"4111111111111111")
    reveal = shop.cipher.reveal
    assert reveal(FIELD, **place, value=value, may_view_encrypted_data=may_view) == shown
    assert reveal(FIELD, **place, value=None, may_view_encrypted_data=may_view) is None


@pytest.fixture
def root_key_text(shop: Shop, tmp_path: Path) -> str:
    """The root key of the shop, as a setting names it."""
    shop.make_table()
    shop.register()
    return f"file:{tmp_path / 'root.key'}"


def test_an_application_connects_with_two_texts(shop: Shop, root_key_text: str) -> None:
    value = shop.encrypt((1,), b"secret")
    with FieldCipher.connect(database_url=shop.conninfo, root_key=root_key_text) as cipher:
        place: dict[str, Any] = {"organization_id": shop.acme, "row": (1,)}
        assert cipher.decrypt(FIELD, **place, value=value) == b"secret"
        with (
            shop.application() as connection,
            cipher.writing(connection, organization_id=shop.acme) as writer,
        ):
            other = writer.encrypt(FIELD, row=(2,), value=b"other")
    assert shop.decrypt((2,), other) == b"other"


def test_a_database_without_our_schema_is_refused(
    shop: Shop, root_key_text: str, other_database: str
) -> None:
    with pytest.raises(ConflictError, match="no keywright schema"):
        FieldCipher.connect(database_url=other_database, root_key=root_key_text)
    assert shop.acme
