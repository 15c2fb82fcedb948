import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.encryption.masks import MaskCharacter, MaskType, mask

TYPES: list[MaskType] = ["all", "last_four", "credit_card", "ssn", "sin", "nino"]


@pytest.mark.parametrize(
    ("mask_type", "value", "shown"),
    [
        ("all", "secret", "******"),
        ("all", "4111 1111", "*********"),
        ("last_four", "4111111111111111", "************1111"),
        ("last_four", "any text", "****text"),
        ("last_four", "12-34", "*2-34"),
        ("credit_card", "4111111111111111", "****-****-****-1111"),
        ("credit_card", "4111-1111-1111-1234", "****-****-****-1234"),
        ("credit_card", "4111 1111 1111 1234", "****-****-****-1234"),
        ("credit_card", "378282246310005", "****-****-***0-005"),
        ("credit_card", "abcdefgh", "****-efgh"),
        ("ssn", "123456789", "***-**-6789"),
        ("ssn", "123-45-6789", "***-**-6789"),
        ("ssn", "12345678", "***-*5-678"),
        ("sin", "123456789", "***-**6-789"),
        ("sin", "123 456 789", "***-**6-789"),
        ("nino", "AB123456C", "** ** ** ** *"),
        ("nino", "AB 12 34 56 C", "** ** ** ** *"),
        ("nino", "AB123456", "********"),
    ],
)
def test_a_value_is_shown_as_its_mask_says(mask_type: MaskType, value: str, shown: str) -> None:
    assert mask(value, mask_type) == shown
    assert mask(value, mask_type, "X") == shown.replace("*", "X")


@pytest.mark.parametrize("mask_type", TYPES)
@pytest.mark.parametrize("value", ["", "1", "1234", "1-2-3-4", "äöü"])
def test_a_short_value_is_hidden_whole(mask_type: MaskType, value: str) -> None:
    shown = mask(value, mask_type)
    if mask_type != "last_four" or len(value) <= 4:
        assert set(shown) <= set("*- ")


@given(
    value=st.text(max_size=40),
    mask_type=st.sampled_from(TYPES),
    character=st.sampled_from(["*", "X"]),
)
def test_any_text_gets_a_mask_and_shows_no_more_than_its_last_four(
    value: str, mask_type: MaskType, character: MaskCharacter
) -> None:
    shown = mask(value, mask_type, character)
    clear = [each for each in shown if each not in (character, "-", " ")]
    assert len(clear) <= (0 if mask_type in ("all", "nino") else 4)
    if mask_type in ("all", "last_four"):
        assert len(shown) == len(value)
