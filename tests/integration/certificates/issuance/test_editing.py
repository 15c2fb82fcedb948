import pytest

from tests.integration.certificates.issuance.workshop import ASKER, Workshop
from workers.certificates.editing import FixedFieldError, edit_certificate
from workers.errors import ConflictError, InvalidRequestError, NotFoundError


def edit(acme: Workshop, name: str, **changes: object) -> str:
    return edit_certificate(
        acme.connection,
        organization_id=acme.organization_id,
        unique_name=name,
        changes=changes,
        requested_by=ASKER,
    )


def test_rule_7_label_and_unique_name_can_change(acme: Workshop) -> None:
    acme.generate("Old label", unique_name="old_name", profile="signing")
    assert edit(acme, "OLD_NAME", label="New label") == "old_name"
    assert edit(acme, "old_name", unique_name="new_name") == "new_name"
    assert edit(acme, "new_name", unique_name="New_Name", label="N") == "New_Name"
    [row] = acme.rows().values()
    assert (row.unique_name, row.label) == ("New_Name", "N")
    kind, _, data = acme.announced()[-1]
    assert kind == "certificate.edited"
    assert data == {
        "unique_name": "New_Name",
        "former_unique_name": "new_name",
        "changed": ["label", "unique_name"],
        "requested_by": ASKER,
    }


def test_rule_7_what_was_settled_when_it_was_made_cannot(acme: Workshop) -> None:
    acme.generate("a")
    for field, value in {
        "kind": "ca_signed",
        "key_size": 4096,
        "key_type": "RSA-4096",
        "private_key_exportable": True,
        "subject": {},
    }.items():
        with pytest.raises(FixedFieldError, match=rf"^{field}: .* cannot change after"):
            edit(acme, "a", **{field: value, "label": "b"})
    assert acme.rows()["a"].label == "a"


def test_rule_3_nobody_takes_the_name_of_another(acme: Workshop, globex: Workshop) -> None:
    acme.generate("a")
    acme.generate("b")
    globex.generate("c")
    with pytest.raises(ConflictError, match="taken already: “A”"):
        edit(acme, "b", unique_name="A", label="not this either")
    assert acme.rows()["b"].label == "b"
    assert edit(acme, "b", unique_name="c") == "c"


def test_rules_1_and_2_hold_for_changes_too(acme: Workshop) -> None:
    acme.generate("a")
    attempts: list[dict[str, object]] = [
        {"label": ""},
        {"label": "a" * 65},
        {"unique_name": "a__b"},
        {"colour": 1},
        {},
    ]
    for changes in attempts:
        with pytest.raises(InvalidRequestError):
            edit(acme, "a", **changes)


def test_what_is_not_there_cannot_change(acme: Workshop, globex: Workshop) -> None:
    globex.generate("a")
    with pytest.raises(NotFoundError, match="“a”"):
        edit(acme, "a", label="b")
