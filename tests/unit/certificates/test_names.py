"""Rules 1 to 4 of the model."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.certificates.names import (
    assign_unique_names,
    check_label,
    check_unique_name,
    label_from,
    unique_name_from,
)
from workers.errors import InvalidRequestError

RULE_2 = re.compile(r"^[A-Za-z](?:_?[A-Za-z0-9])*\Z", re.ASCII)


def test_a_label_of_64_characters_is_taken_and_one_of_65_refused() -> None:
    assert check_label("a" * 64) == "a" * 64
    with pytest.raises(InvalidRequestError, match="label: 1 to 64"):
        check_label("a" * 65)


@pytest.mark.parametrize("label", ["", " ", "a ", "two\nlines", "a\x00b", "turned \u202e round"])
def test_a_label_that_is_no_plain_line_is_refused(label: str) -> None:
    with pytest.raises(InvalidRequestError, match="label"):
        check_label(label)


@pytest.mark.parametrize("name", ["a", "Z9", "a_b", "a" * 64])
def test_a_unique_name_of_rule_2_is_taken(name: str) -> None:
    assert check_unique_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "1a",
        "_a",
        "a_",
        "a__b",
        "a b",
        "a-b",
        "ä",
        "a\n",
        "a" * 65,
        "\N{CYRILLIC SMALL LETTER A}",
    ],
)
def test_a_unique_name_that_breaks_rule_2_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="unique_name"):
        check_unique_name(name)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("www.example.com", "www.example.com"),
        ("  two\r\nlines ", "two lines"),
        ("evil\u202egpj.exe", "evilgpj.exe"),
        ("a\u200bb\x00c\x7f", "ab c"),
        ("x" * 63 + " yz", "x" * 63),
        ("\u2028", "certificate"),
    ],
)
def test_a_label_is_made_of_what_is_visible(text: str, label: str) -> None:
    assert label_from(text) == label


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("www.example.com", "www_example_com"),
        ("*.example.com", "wildcard_example_com"),
        ("Müller & Söhne \N{EN DASH} Straße", "Muller_Sohne_Strasse"),
        ("2026 root", "certificate_2026_root"),
        ("证书", "certificate"),
        ("__a__b__", "a_b"),
        ("a" * 63 + ".b", "a" * 63),
    ],
)
def test_a_unique_name_is_derived_from_the_label(label: str, name: str) -> None:
    assert unique_name_from(label) == name


@given(st.text(max_size=200))
def test_whatever_a_certificate_calls_itself_its_names_follow_the_rules(text: str) -> None:
    label = label_from(text)
    assert check_label(label) == label
    name = unique_name_from(label)
    assert RULE_2.match(name)
    assert len(name) <= 64


def test_namesakes_are_numbered_in_their_order_and_without_regard_to_case() -> None:
    names = assign_unique_names(["web", "Web", "mail", "WEB"], taken=["web_2"])
    assert names == ["web", "Web_3", "mail", "WEB_4"]


def test_a_number_fits_behind_the_longest_name() -> None:
    longest = "a" * 62 + "_b"
    names = assign_unique_names([longest] * 12, taken=[])
    assert names[1] == "a" * 62 + "_2"
    assert names[11] == "a" * 61 + "_12"


@given(
    st.lists(st.sampled_from(["a", "A", "a_2", "a_2_2", "b"]), max_size=30),
    st.sets(st.sampled_from(["a", "a_2", "a_3", "b_2"])),
)
def test_assigned_names_are_free_and_all_different(wanted: list[str], taken: set[str]) -> None:
    names = assign_unique_names(wanted, taken)
    folded = [each.lower() for each in names]
    assert len(set(folded)) == len(wanted)
    assert not set(folded) & taken
    assert all(RULE_2.match(each) for each in names)
    assert names == assign_unique_names(wanted, taken)
