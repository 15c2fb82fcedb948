"""The URI of a key in a token: read as RFC 7512 says, refused where we would not honour it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.errors import InvalidRequestError
from workers.keys.root_keys.pkcs11_uri import parse_uri

REACHED = "?module-path=/usr/lib/m.so&pin-source=file:/etc/pin"
SECRET = "hunter2"


def refusal(text: str) -> str:
    """Return the one sentence with which a URI is refused."""
    with pytest.raises(InvalidRequestError) as refused:
        parse_uri(text, variable="KEYWRIGHT_ROOT_KEY")
    sentence = str(refused.value)
    assert sentence.startswith("KEYWRIGHT_ROOT_KEY: ")
    return sentence


def test_a_key_is_named_by_token_and_object() -> None:
    place = parse_uri("token=my%20token;object=root%3B1" + REACHED, variable="V")
    assert (place.token, place.label) == ("my token", "root;1")
    assert (place.serial, place.key_id) == (None, None)
    assert (place.module, place.pin_file) == (Path("/usr/lib/m.so"), Path("/etc/pin"))
    assert place.identifier == "pkcs11:token=my%20token;object=root%3B1"


def test_serial_and_id_are_bytes() -> None:
    place = parse_uri("serial=%FF1;id=%00%01;type=secret-key" + REACHED, variable="V")
    assert (place.serial, place.key_id) == (b"\xff1", b"\x00\x01")
    assert place.identifier == "pkcs11:serial=%FF1;id=%00%01"


@pytest.mark.parametrize(
    "text",
    [
        "object=k;token=t" + REACHED,
        "token=t;object=k;serial=1;id=%01" + REACHED,
        "token=%74;object=%6B?pin-source=/other/pin&module-path=/other/m.so",
    ],
)
def test_the_identifier_is_of_the_key_and_not_of_the_way_to_it(text: str) -> None:
    assert parse_uri(text, variable="V").identifier == "pkcs11:token=t;object=k"


def test_a_pin_in_the_setting_is_refused_and_not_repeated() -> None:
    for pin in (SECRET, f"ab&{SECRET}", f"ab&{SECRET}=1"):
        text = refusal(f"token=t;object=k?module-path=/m.so&pin-value={pin}")
        assert SECRET not in text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "needs token="),
        ("token=t" + REACHED, "needs token="),
        ("object=k" + REACHED, "needs token="),
        ("token=t;object=k", "module-path"),
        ("token=t;object=k?module-path=/m.so", "pin-source"),
        ("token=t;object=k?pin-source=/pin", "module-path"),
        ("token=t;object=k?module-path=m.so&pin-source=/pin", "module-path"),
        ("token=t;object=k?module-path=/m.so&pin-source=|cat%20/pin", "pin-source"),
        ("token=t;object=k?module-path=/m.so&pin-source=file://host/pin", "pin-source"),
        ("token=t;object=k?module-path=/m.so&pin-source=/p%00", "pin-source"),
        ("token=t;object=k?module-name=m&pin-source=/pin", "does not know"),
        ("token=t;object=k;slot-id=1" + REACHED, "does not know"),
        ("token=t;object=k;x-vendor=1" + REACHED, "does not know"),
        ("token=t;object=k;" + REACHED, "does not know"),
        ("token=t;object=k;type=private" + REACHED, "type=secret-key"),
        ("token=t;object=k;token=u" + REACHED, "token of the URI is empty, given twice"),
        ("token=;object=k" + REACHED, "token of the URI is empty"),
        ("token=t;object" + REACHED, "object of the URI is empty"),
        ("token=%7;object=k" + REACHED, "percent-encoded"),
        ("token=%zz;object=k" + REACHED, "percent-encoded"),
        ("token=%FF;object=k" + REACHED, "not UTF-8"),
    ],
)
def test_what_does_not_name_a_key_its_module_and_its_pin_is_refused(text: str, reason: str) -> None:
    assert reason in refusal(text)


@given(st.text())
def test_no_text_leads_to_anything_but_a_place_or_a_refusal(text: str) -> None:
    try:
        parse_uri(text, variable="V")
    except InvalidRequestError:
        return
    assert "=" in text
