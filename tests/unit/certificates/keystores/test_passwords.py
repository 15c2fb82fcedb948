"""Which passwords keystores are written with (rule 30)."""

import unicodedata

import pytest

from workers.certificates.keystores.entries import Format
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.passwords import check_password

FORMATS: tuple[Format, ...] = ("jks", "pkcs12", "pem")


@pytest.mark.parametrize("store_format", FORMATS)
def test_rule_30_a_password_has_8_characters_or_more(store_format: Format) -> None:
    assert check_password("12345678", store_format) == "12345678"
    assert check_password("x" * 1000, store_format) == "x" * 1000
    for wrong in ("", "1234567", "x" * 1001):
        with pytest.raises(KeystoreError, match=r"^password: 8 to 1,000 characters"):
            check_password(wrong, store_format)


@pytest.mark.parametrize("store_format", ["pkcs12", "pem"])
@pytest.mark.parametrize(
    "password", ["pässwörter", "geheim\tgeheim", "пароль-пароль", "12345678\x7f"]
)
def test_a_password_that_java_could_not_use_is_refused_and_not_repeated(
    store_format: Format, password: str
) -> None:
    with pytest.raises(KeystoreError, match="ASCII") as caught:
        check_password(password, store_format)
    assert password not in str(caught.value)


def test_jks_takes_any_characters_in_the_form_that_keyboards_give() -> None:
    assert check_password(unicodedata.normalize("NFD", "pässwörter"), "jks") == "pässwörter"
    assert check_password("密码密码密码🔑🔑", "jks") == "密码密码密码🔑🔑"


@pytest.mark.parametrize("password", ["12345678\0", "1234567\ud800", "1234\n5678"])
def test_jks_takes_no_control_characters_and_no_halves_of_characters(password: str) -> None:
    with pytest.raises(KeystoreError, match="control characters"):
        check_password(password, "jks")
