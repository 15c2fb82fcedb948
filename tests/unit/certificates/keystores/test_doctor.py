"""The refusals of an import: rules 24 to 28, each naming the entry, all at once."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.unit.certificates.keystores.java_store_maker import VECTORS, VECTORS_PASSWORD
from tests.unit.certificates.keystores.material import key_entry, pkcs8, trusted_entry
from workers.certificates.keystores.doctor import check_for_import, unique_name_for
from workers.certificates.keystores.entries import KeyEntry, KeystoreReading
from workers.certificates.keystores.faults import bad_trusted_certificate, mismatch
from workers.certificates.keystores.limits import Limits
from workers.certificates.keystores.parsing import parse_keystore

RSA = key_entry("rsa2048")


def examine(
    *keys: KeyEntry, taken: tuple[str, ...] = (), any_key_type: bool = False
) -> list[tuple[str | None, str]]:
    reading = KeystoreReading(format="jks", keys=keys)
    found = check_for_import(reading, taken_names=taken, any_key_type=any_key_type)
    for each in found:
        assert str(each).endswith(".")
        assert each.alias is None or f"“{each.alias}”" in str(each)
    return [(each.alias, each.code) for each in found]


def named(alias: str) -> KeyEntry:
    return replace(RSA, alias=alias)


def test_an_rsa_key_with_a_name_of_its_own_is_good() -> None:
    assert examine(named("server"), named("client")) == []


def test_rule_26_a_keystore_without_a_private_key_is_refused_as_a_whole() -> None:
    assert examine() == [(None, "no-private-key")]
    reading = KeystoreReading(format="jks", trusted=(trusted_entry(),), passed_over=("aes",))
    [fault] = check_for_import(reading, taken_names=())
    assert "no private key entry among its 2 entries" in str(fault)


@pytest.mark.parametrize(("key_type", "kind"), [("p256", "EC P-256"), ("ed25519", "Ed25519")])
def test_rule_26_a_key_that_is_not_rsa_is_refused_unless_any_is_let_in(
    key_type: str, kind: str
) -> None:
    reading = KeystoreReading(format="jks", keys=(key_entry(key_type),))
    [fault] = check_for_import(reading, taken_names=())
    assert fault.code == "not-rsa"
    assert f"“{key_type}” is not an RSA key but {kind}" in str(fault)
    assert check_for_import(reading, taken_names=(), any_key_type=True) == []


@pytest.mark.parametrize("any_key_type", [False, True])
def test_rule_26_an_rsa_key_of_another_size_is_refused(any_key_type: bool) -> None:
    small = replace(named("old"), private_key=pkcs8(rsa.generate_private_key(65537, 1024)))
    assert examine(small, any_key_type=any_key_type) == [("old", "key-size")]


def test_rule_25_a_key_with_a_password_of_its_own_is_refused_where_there_is_one_password() -> None:
    own = replace(named("server"), has_own_password=True)
    assert examine(own) == [("server", "key-password")]
    reading = KeystoreReading(format="jks", keys=(own,))
    assert check_for_import(reading, taken_names=(), one_password=False) == []


@pytest.mark.parametrize("alias", ["1a", "_a", "a_", "a__b", "a b", "a-b", "ä", "", "a" * 65])
def test_rule_27_an_alias_that_is_no_unique_name_is_refused(alias: str) -> None:
    [fault] = check_for_import(KeystoreReading(format="jks", keys=(named(alias),)), taken_names=())
    assert (fault.alias, fault.code) == (alias, "alias")
    assert "is not acceptable for import" in str(fault)


def test_rule_27_an_alias_becomes_a_unique_name_in_lower_case() -> None:
    assert unique_name_for("WwwServer") == "wwwserver"
    assert examine(named("Server"), named("server")) == [
        ("Server", "alias-twice"),
        ("server", "alias-twice"),
    ]


def test_rule_28_a_name_in_use_is_refused_whatever_its_case() -> None:
    assert examine(named("Server"), named("b"), taken=("server",)) == [("Server", "name-taken")]


def test_every_fault_of_every_entry_is_said_at_once_and_entry_by_entry() -> None:
    reading = KeystoreReading(
        format="jks",
        keys=(
            replace(key_entry("p256"), alias="a-b", has_own_password=True),
            named("taken"),
            named("good"),
        ),
        faults=(mismatch("x y", None), bad_trusted_certificate("not a unique name")),
    )
    found = check_for_import(reading, taken_names=("taken",))
    assert [(each.alias, each.code) for each in found] == [
        ("a-b", "key-password"),
        ("a-b", "not-rsa"),
        ("a-b", "alias"),
        ("taken", "name-taken"),
        ("x y", "key-mismatch"),
        ("x y", "alias"),
        ("not a unique name", "trusted-unreadable"),
    ]


def test_an_alias_cannot_disguise_what_is_said_about_it() -> None:
    [fault] = check_for_import(
        KeystoreReading(format="jks", keys=(named("a\u202eb\nAll is well." + "c" * 500),)),
        taken_names=(),
    )
    assert str(fault).isprintable()
    assert len(str(fault)) < 300


def test_a_file_of_java_25_is_as_the_rules_want_it() -> None:
    reading = parse_keystore(
        (VECTORS / "jdk25-rsa.jks").read_bytes(),
        store_password=VECTORS_PASSWORD,
        key_password=None,
        limits=Limits(),
    )
    assert check_for_import(reading, taken_names=()) == []
