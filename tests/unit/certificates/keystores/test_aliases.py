"""Aliases that Java can tell apart, read again, and that make unique names when they come back."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.certificates.keystores.aliases import aliases_for, check_aliases
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.names import check_unique_name


def test_a_unique_name_gives_itself_in_lower_case() -> None:
    assert aliases_for(["SelfSignedCert_24Nov2026", "web"]) == ["selfsignedcert_24nov2026", "web"]


def test_names_that_differ_in_case_alone_get_numbers() -> None:
    assert aliases_for(["Web", "web", "WEB", "web_2"]) == ["web", "web_2", "web_3", "web_2_2"]


def test_whatever_is_no_unique_name_is_made_one() -> None:
    assert aliases_for(["*.example.org", "Grüße 🔑", "../../etc/passwd", "1", ""]) == [
        "wildcard_example_org",
        "grusse",
        "etc_passwd",
        "certificate_1",
        "certificate",
    ]


@given(st.lists(st.text(max_size=80), max_size=8))
def test_rule_27_every_alias_is_safe_for_java_and_acceptable_for_import(names: list[str]) -> None:
    aliases = aliases_for(names)
    check_aliases(aliases)
    assert len(set(aliases)) == len(names)
    for alias in aliases:
        assert re.fullmatch(r"[a-z0-9._-]{1,64}", alias)
        check_unique_name(alias)


@pytest.mark.parametrize("alias", ["Web", "", "a" * 65, "a b", "ä", "🔑", "a/b", "a\n"])
def test_an_alias_that_java_could_not_find_again_is_refused(alias: str) -> None:
    with pytest.raises(KeystoreError, match="is not safe for Java"):
        check_aliases([alias])


def test_an_alias_may_stand_there_once_only() -> None:
    check_aliases(["a.b-c_1", "a"])
    with pytest.raises(KeystoreError, match="'a' would stand in the keystore twice"):
        check_aliases(["a", "b", "a"])


def test_a_thousand_names_alike_take_no_time() -> None:
    names = ["".join(each) for each in product("aA", repeat=10)]
    assert len(set(aliases_for(names))) == 1024
