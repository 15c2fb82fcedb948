import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.jobs.intake.strict_json import DEEPEST, loads

_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=10,
)


@given(_VALUES)
def test_what_is_fit_to_be_kept_is_read_as_it_was_written(value: object) -> None:
    assert loads(json.dumps(value).encode()) == value


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:0eE-.NaN\\u', max_size=40))
def test_whatever_comes_is_read_or_refused_with_a_reason(data: bytes | str) -> None:
    try:
        loads(data if isinstance(data, bytes) else data.encode())
    except ValueError as error:
        assert 5 < len(str(error)) < 100  # noqa: PT017  # where it is read, there is none


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is not JSON (at character 0)"),
        ("{", "it is not JSON (at character 1)"),
        ('{"a": 1, "a": 1}', "an object has one name twice"),
        ('{"b": {"a": 1, "\\u0061": 2}}', "an object has one name twice"),
        ("[NaN]", "a number is none: NaN or Infinity"),
        ("[-Infinity]", "a number is none: NaN or Infinity"),
        ("[1e999]", "a number is too large, or has too many digits"),
        (f"[{'9' * 41}]", "a number has more than 40 digits"),
        (f"[0.{'9' * 5000}]", "a number is too large, or has too many digits"),
        ('["\\u0000"]', "a text holds NUL"),
        ('{"\\u0000": 1}', "a text holds NUL"),
        ('["\\ud800"]', "a text holds half a surrogate pair"),
        ("[" * 33 + "]" * 33, f"it has more than {DEEPEST} levels"),
        ("[" * 100_000, f"it has more than {DEEPEST} levels"),
        ('{"a":' * 100_000, f"it has more than {DEEPEST} levels"),
    ],
    ids=range(15),
)
def test_what_is_unfit_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # the whole text is compared
        loads(text.encode())
    assert str(refused.value) == reason


def test_what_is_not_in_utf_8_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^it is not in UTF-8$"):
        loads('{"a": "ä"}'.encode("latin-1"))


def test_32_levels_are_read() -> None:
    assert loads(b"[" * 31 + b"1" + b"]" * 31) is not None
