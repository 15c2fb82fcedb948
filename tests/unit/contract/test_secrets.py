"""What may stand in the place of a secret among a job's arguments."""

import json
import re
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from workers.contract import JOB_REQUESTS, ExportKeystore, ImportKeystore, ScanExpiries
from workers.contract.secrets import (
    MOST_CHARACTERS,
    Secret,
    purpose_of,
    reference_in,
    secret_arguments,
)

REFERENCE = UUID("034ebffb-fc64-406e-83f9-26306d3d2f92")

PLAIN = "Marker-77aa in the clear"
SHORTEST = f"sealed:v1:01234567:{'A' * 66}"
LONGEST = f"sealed:v1:{'0' * 32}:{'_' * 5526}"
WRONG = {
    "a password": PLAIN,
    "nothing": "",
    "a prefix": "sealed:v1:",
    "another version": SHORTEST.replace("v1", "v2"),
    "a short key id": SHORTEST.replace("01234567", "0123456"),
    "a long key id": SHORTEST.replace("01234567", "0" * 33),
    "a key id in capitals": SHORTEST.replace("01234567", "ABCDEF01"),
    "too little to be sealed": SHORTEST[:-1],
    "too much": f"{LONGEST}A",
    "base64 of the other alphabet": f"{SHORTEST[:-1]}+",
    "padding": f"{SHORTEST}==",
    "a line end": f"{SHORTEST}\n",
    "a line before": f"\n{SHORTEST}",
    "a password on the next line": f"{SHORTEST}\n{PLAIN}",
    "a letter that looks alike": SHORTEST.replace("sealed", "s\u0435aled"),
    "full-width digits": str(REFERENCE).translate({ord("4"): "\uff14"}),
    "a UUID in braces": f"{{{UUID('034ebffb-fc64-406e-83f9-26306d3d2f92')}}}",
    "a UUID with a password": f"{UUID('034ebffb-fc64-406e-83f9-26306d3d2f92')}{PLAIN}",
}


@pytest.mark.parametrize("secret", [SHORTEST, LONGEST, "5f0c3a52-9f6b-4d0e-8a67-2f1f5a3ac1d0"])
def test_a_sealed_secret_and_a_reference_are_accepted(secret: str) -> None:
    assert ExportKeystore(password=secret).password == secret


def test_the_id_of_a_handed_secret_is_accepted_as_such() -> None:
    reference = REFERENCE
    request = ExportKeystore.model_validate({"password": reference})
    assert request.password == str(reference)
    assert reference_in(request.password) == reference


@pytest.mark.parametrize("password", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("argument", ["password", "key_password"])
def test_anything_else_is_refused_and_not_repeated(password: str, argument: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ExportKeystore.model_validate_json(json.dumps({argument: password}), strict=True)
    assert "Marker" not in f"{refused.value}{refused.value!r}"


@given(st.one_of(st.text(), st.integers(), st.binary(), st.lists(st.text()), st.booleans()))
def test_a_wrong_password_of_any_type_is_refused(password: Any) -> None:
    with pytest.raises(ValidationError):
        ExportKeystore.model_validate({"password": password})


@pytest.mark.parametrize(
    "password",
    [each for each in WRONG.values() if len(each) <= MOST_CHARACTERS and each[-1:] != "\n"],
)
def test_the_json_schema_refuses_the_same(password: str) -> None:
    schema = TypeAdapter(Secret).json_schema()
    assert schema["maxLength"] == MOST_CHARACTERS == len(LONGEST)
    assert re.search(schema["pattern"], SHORTEST)
    assert re.search(schema["pattern"], password) is None


def test_the_secrets_of_every_kind_are_known() -> None:
    secrets = {each.kind: secret_arguments(each) for each in JOB_REQUESTS}
    assert {kind: names for kind, names in secrets.items() if names} == {
        "keystore.export": ("password", "key_password"),
        "keystore.import": ("password", "key_password"),
    }
    assert secret_arguments(ScanExpiries) == ()


def test_no_argument_is_called_a_password_and_is_none() -> None:
    suspicious = re.compile("passw|passphrase|secret|token|private_key$")
    for request in JOB_REQUESTS:
        called = {name for name in request.model_fields if suspicious.search(name)}
        assert called <= {*secret_arguments(request)}, request.kind


def test_every_kind_with_a_secret_hides_its_input_from_errors() -> None:
    for request in JOB_REQUESTS:
        if secret_arguments(request):
            assert request.model_config.get("hide_input_in_errors") is True, request.kind


def test_an_error_in_another_argument_does_not_repeat_the_password() -> None:
    with pytest.raises(ValidationError) as refused:
        ImportKeystore.model_validate({"artifact": PLAIN, "password": PLAIN, "strict": PLAIN})
    assert "Marker" not in str(refused.value)


def test_a_sealed_secret_is_no_reference() -> None:
    assert reference_in(SHORTEST) is None
    assert reference_in(None) is None
    assert reference_in("5F0C3A52-9F6B-4D0E-8A67-2F1F5A3AC1D0") == UUID(
        "5f0c3a52-9f6b-4d0e-8a67-2f1f5a3ac1d0"
    )


def test_what_a_secret_is_bound_to_tells_organization_kind_and_argument_apart() -> None:
    assert purpose_of("Größe & Co", "keystore.export", "password") == (
        b"keywright secret v1\nGr\xc3\xb6\xc3\x9fe & Co\nkeystore.export\npassword"
    )


@given(st.text())
def test_no_name_of_an_organization_passes_for_another_place(organization: str) -> None:
    try:
        bound_to = purpose_of(organization, "keystore.export", "password").decode()
    except UnicodeEncodeError:
        return  # no name in the database has half a surrogate pair
    # Kinds and arguments have no line ends, so the last two lines are theirs, whatever the name.
    assert bound_to.rsplit("\n", 2)[1:] == ["keystore.export", "password"]
    assert bound_to.rsplit("\n", 2)[0].partition("\n")[2] == organization
